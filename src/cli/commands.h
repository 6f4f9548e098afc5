// The commands, one file each, and the table that main.cc looks them up in.
#pragma once

#include <span>
#include <string>

#include "cli/parse.h"

namespace ballast::cli {

std::span<const Command> commands();

// Prints to stdout, or writes `file` where one is given (--out of the commands that only print).
void emit(const std::string& text, const std::string& file);

// A script that completes the commands, their flags and keys, and file names where a path is expected. Sourced or put in
// the shell's folder of completions. Throws Error{usage} for a shell that is not bash, zsh or fish.
std::string completion_script(const std::string& shell);

// What `ballast --version` prints: which build this is, and what it would run on here.
std::string version_text();

// A command that found a difference has done its work; the process exits with 1.
struct Negative {};

void cmd_quickstart(CommandLine& line);
void cmd_corpus(CommandLine& line);
void cmd_corpus_report(CommandLine& line);
void cmd_tokenizer_train(CommandLine& line);
void cmd_tokenizer_check(CommandLine& line);
void cmd_tokenizer_encode(CommandLine& line);
void cmd_train(CommandLine& line);
void cmd_generate(CommandLine& line);
void cmd_eval(CommandLine& line);
void cmd_study_skip(CommandLine& line);
void cmd_report(CommandLine& line);
void cmd_inspect(CommandLine& line);
void cmd_convert(CommandLine& line);
void cmd_doctor(CommandLine& line);
void cmd_verify(CommandLine& line);
void cmd_roofline(CommandLine& line);
void cmd_completion(CommandLine& line);

}  // namespace ballast::cli
