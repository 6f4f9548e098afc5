// A safetensors file: its header, then every tensor read in every way that its dtype allows.
#include <vector>

#include "formats/safetensors.h"
#include "fuzz/target.h"

namespace ballast::fuzz {
namespace {

template <class T>
void read(const Checkpoint& checkpoint, const std::string& name, const FileTensor& tensor) {
  std::vector<T> out(static_cast<size_t>(tensor.elements()));
  accepts([&] { checkpoint.read(name, tensor.shape, std::span<T>(out)); });
}

}  // namespace
}  // namespace ballast::fuzz

extern "C" int BALLAST_FUZZ_TARGET(const uint8_t* data, size_t size) {
  using namespace ballast;
  const fuzz::MemoryFile file(fuzz::text_of(data, size));
  fuzz::accepts([&] {
    const Checkpoint checkpoint = Checkpoint::open(file.path());
    uint64_t bytes = 0;
    for (const std::string& name : checkpoint.names()) {
      const FileTensor& tensor = checkpoint.at(name);
      CHECK(tensor.bytes.size() == static_cast<size_t>(tensor.elements()) * size_of(tensor.dtype));
      bytes += tensor.bytes.size();
      fuzz::read<float>(checkpoint, name, tensor);
      fuzz::read<double>(checkpoint, name, tensor);
      fuzz::read<bf16>(checkpoint, name, tensor);
      fuzz::read<int64_t>(checkpoint, name, tensor);
    }
    CHECK(bytes == checkpoint.total_bytes() && bytes <= size);
  });
  return 0;
}
