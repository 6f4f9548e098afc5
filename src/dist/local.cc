#include "dist/local.h"

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"

namespace ballast {
namespace {

struct Abandoned {};  // another rank failed; its error is the one to report

class Meeting {
 public:
  explicit Meeting(int ranks) : values_(static_cast<size_t>(ranks)) {}

  int ranks() const { return static_cast<int>(values_.size()); }

  void arrive() {
    std::unique_lock lock(mutex_);
    if (error_) throw Abandoned();
    const int64_t round = round_;
    if (++waiting_ == ranks()) {
      waiting_ = 0;
      ++round_;
      all_here_.notify_all();
      return;
    }
    all_here_.wait(lock, [&] { return round_ != round || error_; });
    if (round_ == round) throw Abandoned();
  }

  void fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    all_here_.notify_all();
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  // Rank r adds up the r-th part of everybody's values and writes the sums into everybody's.
  template <class T>
  void sum(int rank, std::span<T> own) {
    values_[static_cast<size_t>(rank)] = {own.data(), own.size()};
    arrive();
    const size_t n = own.size(), r = static_cast<size_t>(rank), size = values_.size();
    for (const auto& v : values_) CHECK(v.size == n);
    for (size_t i = n * r / size; i < n * (r + 1) / size; ++i) {
      T total = of<T>(0)[i];
      for (size_t other = 1; other < size; ++other) total += of<T>(other)[i];
      for (size_t other = 0; other < size; ++other) of<T>(other)[i] = total;
    }
    arrive();
  }

 private:
  struct Values {
    void* data = nullptr;
    size_t size = 0;
  };
  template <class T>
  T* of(size_t rank) {
    return static_cast<T*>(values_[rank].data);
  }

  std::mutex mutex_;
  std::condition_variable all_here_;
  std::vector<Values> values_;
  int waiting_ = 0;
  int64_t round_ = 0;
  std::exception_ptr error_;
};

class LocalRank final : public Communicator {
 public:
  LocalRank(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return meeting_.ranks(); }
  void all_reduce_sum(std::span<float> values) override { meeting_.sum(rank_, values); }
  void all_reduce_sum(std::span<double> values) override { meeting_.sum(rank_, values); }
  void all_reduce_sum(std::span<int64_t> values) override { meeting_.sum(rank_, values); }
  void barrier() override { meeting_.arrive(); }

 private:
  Meeting& meeting_;
  int rank_;
};

}  // namespace

void run_local_ranks(int ranks, const std::function<void(Communicator&)>& body) {
  CHECK(ranks > 0);
  Meeting meeting(ranks);
  const SignalsKeptFromNewThreads scope;  // the main thread waits, and is told
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank)
    threads.emplace_back([&, rank] {
      try {
        LocalRank self(meeting, rank);
        body(self);
      } catch (const Abandoned&) {
      } catch (...) {
        meeting.fail(std::current_exception());
      }
    });
  for (auto& thread : threads) thread.join();
  meeting.rethrow();
}

}  // namespace ballast
