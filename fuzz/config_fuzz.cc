// A model's config.json, in either style. What is accepted, written and read again is the same model.
#include "base/json.h"
#include "fuzz/target.h"
#include "model/config.h"

extern "C" int BALLAST_FUZZ_TARGET(const uint8_t* data, size_t size) {
  using namespace ballast;
  fuzz::accepts([&] {
    const ModelConfig config = parse_hf_config(Json::parse(fuzz::text_of(data, size), "config.json"), "config.json");
    validate(config, "config.json");
    CHECK(static_cast<int>(config.moe_layers().size()) <= config.total_layers());
    if (config.qk_rope_head_dim <= 4096)
      CHECK(static_cast<int>(rope_inv_freq(config).size()) == config.qk_rope_head_dim / 2);
    const std::string written = to_hf_config(config, "float32").dump();
    const ModelConfig again = parse_hf_config(Json::parse(written), "written");
    validate(again, "written");
    CHECK(to_hf_config(again, "float32").dump() == written);
  });
  return 0;
}
