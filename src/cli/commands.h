// The commands, one file each, and the table that main.cc looks them up in.
#pragma once

#include <span>
#include <string>

#include "cli/parse.h"

namespace ballast::cli {

std::span<const Command> commands();

// Prints to stdout, or writes `file` where one is given (--out of the commands that only print).
void emit(const std::string& text, const std::string& file);

// A command that found a difference has done its work; the process exits with 1.
struct Negative {};

void cmd_quickstart(CommandLine& line);
void cmd_corpus(CommandLine& line);
void cmd_tokenizer_train(CommandLine& line);
void cmd_tokenizer_check(CommandLine& line);
void cmd_tokenizer_encode(CommandLine& line);
void cmd_train(CommandLine& line);
void cmd_generate(CommandLine& line);
void cmd_eval(CommandLine& line);
void cmd_study_skip(CommandLine& line);
void cmd_report(CommandLine& line);
void cmd_inspect(CommandLine& line);
void cmd_verify(CommandLine& line);
void cmd_roofline(CommandLine& line);

}  // namespace ballast::cli
