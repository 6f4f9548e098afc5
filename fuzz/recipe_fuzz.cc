// A TOML recipe of `ballast train`. What is accepted, written and read again is the same recipe.
#include "base/toml.h"
#include "fuzz/target.h"
#include "train/config.h"

extern "C" int BALLAST_FUZZ_TARGET(const uint8_t* data, size_t size) {
  using namespace ballast;
  Json tree;
  if (!fuzz::accepts([&] { tree = parse_toml(fuzz::text_of(data, size), "recipe.toml"); })) return 0;
  const std::string written = write_toml(tree);  // values before sections, whatever their order was
  CHECK(write_toml(parse_toml(written)) == written);
  fuzz::accepts([&] {
    RunConfig recipe;
    read_config(recipe, tree, "recipe.toml");
    validate(recipe.model);
    validate(recipe.balance);
    const std::string whole = write_toml(config_to_json(recipe));
    RunConfig again;
    read_config(again, parse_toml(whole), "written");
    CHECK(write_toml(config_to_json(again)) == whole);
  });
  return 0;
}
