#include "infer/load.h"

#include "base/checksums.h"
#include "model/weights.h"
#include "tokenizer/tokenizer_json.h"

namespace ballast {
namespace fs = std::filesystem;

const Tokenizer& LoadedModel::tokenizer() const {
  if (!optional_tokenizer) {
    find_tokenizer_json(folder);  // says so where the folder has a vocabulary of another kind
    fail(ErrorKind::file, folder.string(), "no tokenizer.json: text cannot be turned into tokens");
  }
  return *optional_tokenizer;
}

LoadedModel load_model(const fs::path& folder, Device& device, DType storage) {
  LoadedModel m;
  m.folder = folder;
  m.config = read_model_config(folder);
  // The small files first, so that what is wrong with them is said before the weights are read.
  if (const fs::path file = folder / "tokenizer.json"; fs::exists(file)) {
    m.optional_tokenizer = Tokenizer::load(file);
    if (m.optional_tokenizer->vocab_size() > m.config.vocab_size)
      fail(ErrorKind::format, file.string(), "{} tokens, but the model's vocab_size is {}: they do not belong together",
           m.optional_tokenizer->vocab_size(), m.config.vocab_size);
  }
  verify_checksums(folder);  // where it is a checkpoint of ours
  const Checkpoint weights = Checkpoint::open(folder);
  m.params = std::make_unique<ParamStore>(device, make_param_table(m.config), ParamStore::Options{.storage = storage});
  load_weights(*m.params, weights);
  m.model = std::make_unique<Model>(m.config, *m.params);
  return m;
}

}  // namespace ballast
