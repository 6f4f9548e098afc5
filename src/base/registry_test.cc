#include "base/registry.h"

#include <gtest/gtest.h>

namespace ballast {
namespace {

Registry<int (*)()> rules() {
  Registry<int (*)()> registry("balancing rule");
  registry.add("none", [] { return 0; });
  registry.add("sign_centered", [] { return 1; });
  registry.add("sign", [] { return 2; });
  return registry;
}

TEST(Registry, FindsByNameAndKeepsTheOrder) {
  const auto registry = rules();
  EXPECT_EQ(registry.get("sign")(), 2);
  EXPECT_EQ(registry.names(), (std::vector<std::string>{"none", "sign_centered", "sign"}));
}

TEST(Registry, AnUnknownNameIsAnsweredWithTheNearest) {
  try {
    rules().get("sign_centred", "a.toml: balance.rule");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind, ErrorKind::usage);
    EXPECT_STREQ(e.what(),
                 "a.toml: balance.rule: unknown balancing rule 'sign_centred'; the nearest known name is "
                 "'sign_centered' (all: none, sign_centered, sign)");
  }
}

TEST(RegistryDeathTest, ANameTwiceIsABug) {
  auto registry = rules();
  EXPECT_DEATH(registry.add("sign", [] { return 3; }), "CHECK failed");
}

}  // namespace
}  // namespace ballast
