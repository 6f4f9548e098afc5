#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/testing.h"

namespace ballast {
namespace {
namespace fs = std::filesystem;

class FileTest : public FolderTest {
 protected:
  int entries() const { return static_cast<int>(std::distance(fs::directory_iterator(folder), {})); }
};

template <class F>
Error error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::usage, "", "");
}

TEST_F(FileTest, WritesAndReadsBack) {
  const std::string text("a\0b\n", 4);
  write_file_atomic(folder / "x", text);
  EXPECT_EQ(read_file(folder / "x"), text);
  EXPECT_EQ(MappedFile(folder / "x").text(), text);
  write_file_atomic(folder / "x", "");
  EXPECT_EQ(read_file(folder / "x"), "");
  EXPECT_TRUE(MappedFile(folder / "x").bytes().empty());
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, ReadsFilesThatDoNotKnowTheirSize) { EXPECT_GT(read_file("/proc/self/status").size(), 100u); }

TEST_F(FileTest, DroppedPagesAreReadAgain) {
  const std::string text(100'000, 'x');
  write_file_atomic(folder / "x", text);
  const MappedFile file(folder / "x");
  EXPECT_EQ(file.text(), text);
  drop_pages(file.bytes().subspan(5000, 50'001));
  drop_pages(file.bytes());
  drop_pages({});
  EXPECT_EQ(file.text(), text);
}

TEST_F(FileTest, MappedFileMoves) {
  write_file_atomic(folder / "x", "x");
  write_file_atomic(folder / "y", "yy");
  MappedFile a(folder / "x"), b(folder / "y");
  a = std::move(b);
  EXPECT_EQ(a.text(), "yy");
  const MappedFile c = std::move(a);
  EXPECT_EQ(c.text(), "yy");
}

TEST_F(FileTest, MissingAndWrongPathsAreNamed) {
  for (const fs::path& path : {folder / "absent", folder}) {
    const Error read = error_of([&] { read_file(path); });
    EXPECT_EQ(read.kind, ErrorKind::file);
    EXPECT_EQ(read.where, path.string());
    EXPECT_EQ(error_of([&] { MappedFile{path}; }).kind, ErrorKind::file);
  }
  EXPECT_EQ(error_of([&] { AtomicFile(folder / "no" / "x"); }).kind, ErrorKind::file);
  EXPECT_EQ(error_of([&] { AtomicFile{folder}; }).kind, ErrorKind::file);
  EXPECT_EQ(error_of([&] { AtomicFile("/dev/null"); }).kind, ErrorKind::file);
}

// A pipe in a folder of files must not hold anybody up for ever.
TEST_F(FileTest, APipeIsNoFileOfWeightsAndWaitingForOneCanBeInterrupted) {
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_NE(std::string(error_of([&] { MappedFile{folder / "pipe"}; }).what()).find("not a regular file"),
            std::string::npos);
  const auto wait_in_vain = [&] {  // in a process of its own: the flag stays set
    install_interrupt_handler();
    alarm(20);
    std::thread([] {
      usleep(50'000);
      ::kill(getpid(), SIGTERM);
    }).detach();
    _exit(error_of([&] { read_file(folder / "pipe"); }).kind == ErrorKind::interrupted ? 7 : 8);
  };
  EXPECT_EXIT(wait_in_vain(), testing::ExitedWithCode(7), "");
  std::thread writer([&] { std::ofstream(folder / "pipe") << "from a pipe"; });
  EXPECT_EQ(read_file(folder / "pipe"), "from a pipe");
  writer.join();
}

TEST_F(FileTest, WhatCannotBeWrittenIsSaidBefore) {
  require_writable_file(folder / "x");
  EXPECT_EQ(require_writable_folder(folder / "a/b"), folder);
  EXPECT_EQ(require_writable_folder("bare name"), ".");
  EXPECT_EQ(entries(), 0);
  EXPECT_THROW(require_writable_file(folder / "no/x"), Error);
  write_file_atomic(folder / "x", "");
  EXPECT_EQ(error_of([&] { require_writable_folder(folder / "x/b"); }).where, (folder / "x").string());
  if (geteuid() == 0) return;  // who writes everywhere
  fs::permissions(folder, fs::perms::owner_read | fs::perms::owner_exec);
  const std::string denied = error_of([&] { require_writable_folder(folder / "a"); }).what();
  fs::permissions(folder, fs::perms::owner_all);
  EXPECT_NE(denied.find("Permission denied; change the permissions"), std::string::npos) << denied;
}

TEST_F(FileTest, ErrorsOfTheLibraryReadAsOurs) {
  write_file_atomic(folder / "x", "");
  const auto of = [](auto&& call) {
    try {
      call();
    } catch (const fs::filesystem_error& e) {
      return as_error(e);
    }
    return Error(ErrorKind::usage, "", "nothing was thrown");
  };
  const std::string at = (folder / "x/a").string();
  EXPECT_EQ(of([&] { fs::create_directory(at); }).what(),
            at + ": cannot create directory: Not a directory; a part of this path is a file");
  EXPECT_EQ(of([&] { fs::rename(at, folder / "y"); }).what(), at + ": cannot rename (with " + (folder / "y").string() +
                                                                  "): Not a directory; a part of this path is a file");
  EXPECT_EQ(std::string(of([&] { (void)fs::exists(folder / std::string(300, 'n')); }).what()),
            (folder / std::string(300, 'n')).string() + ": cannot read it: File name too long");
  const auto denied = std::make_error_code(std::errc::permission_denied);
  EXPECT_EQ(std::string(as_error(fs::filesystem_error("cannot create directory", "/x", denied)).what()),
            "/x: cannot create directory: Permission denied; change the permissions, or name another place");
}

TEST_F(FileTest, NothingIsSeenBeforeCommit) {
  write_file_atomic(folder / "x", "old");
  {
    AtomicFile file(folder / "x");
    file.write("new");
    EXPECT_EQ(file.offset(), 3u);
    file.write(std::string(200000, 'n'));
    EXPECT_EQ(file.offset(), 200003u);
    EXPECT_EQ(read_file(folder / "x"), "old");
  }
  EXPECT_EQ(read_file(folder / "x"), "old");
  EXPECT_EQ(entries(), 1);  // the temporary file is gone
  AtomicFile file(folder / "x");
  file.write("new");
  file.commit();
  EXPECT_EQ(read_file(folder / "x"), "new");
  EXPECT_EQ(entries(), 1);
}

TEST_F(FileTest, SmallWritesAcrossTheBufferKeepTheirOrder) {
  std::string expected;
  AtomicFile file(folder / "x");
  for (int i = 0; i < 30000; ++i) {
    const std::string part = std::to_string(i) + std::string(i % 1000 == 0 ? 70000 : 0, '.');
    expected += part;
    file.write(part);
    ASSERT_EQ(file.offset(), expected.size());
  }
  file.commit();
  EXPECT_EQ(read_file(folder / "x"), expected);
}

TEST_F(FileTest, ALinkStaysALink) {
  write_file_atomic(folder / "real", "old");
  fs::create_symlink("real", folder / "link");
  write_file_atomic(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "real"), "new");
}

TEST_F(FileTest, AFullDeviceIsAnErrorWithThePath) {
  std::FILE* full = std::fopen("/dev/full", "w");
  if (!full) GTEST_SKIP() << "no /dev/full here";
  const Error e = error_of([&] { write_all(fileno(full), "x", 1, "run/metrics.jsonl"); });
  std::fclose(full);
  EXPECT_EQ(e.kind, ErrorKind::device);
  EXPECT_EQ(e.where, "run/metrics.jsonl");
}

// A pipe whose reader is slow, and a timer's signals: write(2) returns early, again and again.
TEST(WriteAll, GoesOnAfterShortAndInterruptedWrites) {
  struct sigaction quiet = {}, before;
  quiet.sa_handler = [](int) {};  // without SA_RESTART
  ASSERT_EQ(sigaction(SIGALRM, &quiet, &before), 0);
  std::string text(3000000, ' '), received;
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  sigset_t alarm;
  sigemptyset(&alarm);
  sigaddset(&alarm, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, nullptr);  // inherited by the reader: the signals are for the writer
  std::thread reader([&] {
    char buffer[10007];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) received.append(buffer, static_cast<size_t>(n));
  });
  pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  const itimerval often = {{0, 100}, {0, 100}}, never = {};
  setitimer(ITIMER_REAL, &often, nullptr);
  write_all(ends[1], text.data(), text.size(), "pipe");
  setitimer(ITIMER_REAL, &never, nullptr);
  close(ends[1]);
  reader.join();
  close(ends[0]);
  sigaction(SIGALRM, &before, nullptr);
  EXPECT_TRUE(received == text);
}

// The limit on file size stands for the full disk: it first gives a short write, then an error.
TEST_F(FileTest, WhereTheDiskEndsTheOldFileStays) {
  write_file_atomic(folder / "x", "old");
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit small = {100000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const Error e = error_of([&] { write_file_atomic(folder / "x", std::string(300000, 'n')); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(e.kind, ErrorKind::device);
  EXPECT_EQ(e.where, (folder / "x").string());
  EXPECT_EQ(read_file(folder / "x"), "old");
  EXPECT_EQ(entries(), 1);
}

}  // namespace
}  // namespace ballast
