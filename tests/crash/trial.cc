// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/crash/trial.h"

#include <algorithm>
#include <cstdio>

#include "tests/crash/child.h"

namespace vmt::crash {
namespace {

constexpr std::chrono::milliseconds kSettles{3000};  // a namespace dies, an address becomes usable

State only_foreign(const State& state) {
  return {.ours = {}, .foreign = state.foreign, .counts = {}};
}

// A watcher that listens on a link changes it.
std::set<std::string> without_links(std::set<std::string> lines) {
  std::erase_if(lines, [](const std::string& line) { return line.find(" link ") != std::string::npos; });
  return lines;
}

// The line of an ordinary run that did not end well; "" of one that did.
std::string failure_of(const Program& program, const Outcome& outcome) {
  if (outcome.status == 0 && !outcome.hung) return "";
  std::string text = "    failed:";
  for (const auto& word : program.words) text += " " + word;
  if (outcome.hung)
    text += " (hangs)";
  else if (outcome.signal != 0)
    text += " (signal " + std::to_string(outcome.signal) + ")";
  else
    text += " (status " + std::to_string(outcome.status) + ")";
  return text + ": " + outcome.err + (outcome.err.ends_with('\n') ? "" : "\n");
}

}  // namespace

Trial::Trial(const Case& which) : case_(which) {
  enter_world();
  current_ = "undisturbed";
  play(case_.before, case_.at_a_glance);
  staged_ = settled_state();
  undisturbed_ = run_target(case_.target, {}, case_.at_a_glance);
  expected_ = settled_state();
  figures_.calls = undisturbed_.calls.size();
  if (undisturbed_.status != 0 || !undisturbed_.err.empty())
    defect("an undisturbed run ends with " + std::to_string(undisturbed_.status), undisturbed_.err);
  check_calls();
  play(case_.undo, case_.at_a_glance);
  check_state("after the undisturbed run was undone", baseline_);
}

void Trial::enter_world() {
  make_world(case_.world);
  if (case_.in_world) case_.in_world();
  const State bare = settled_state();
  // Asked about a link elsewhere that has its parent here, the kernel numbers this namespace for good.
  current_ = "first run";
  play(case_.before, case_.at_a_glance);
  play({case_.target}, case_.at_a_glance);
  play(case_.undo, case_.at_a_glance);
  baseline_ = settled_state();
  State without_numbers = baseline_;
  for (const auto& line : baseline_.foreign)
    if (line.starts_with("namespace ") && !bare.foreign.contains(line)) without_numbers.foreign.erase(line);
  if (without_numbers != bare) defect("the first run is not undone", difference(bare, without_numbers));
  broken_ = false;
}

Outcome Trial::run_target(const Program& program, const Hurt& hurt, const Reached& done) {
  Program prepared = program;
  prepared.environment.insert(prepared.environment.end(), {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/run"});
  if (!case_.companion) return crash::run(prepared, hurt);
  const auto companion = case_.companion(done);
  companion->prepare(prepared);
  Outcome outcome = crash::run(prepared, hurt, std::chrono::seconds(30), [&](pid_t pid) { companion->start(pid); });
  outcome.out += companion->finish();
  return outcome;
}

void Trial::play(const std::vector<Program>& programs, const Reached& done) {
  for (const auto& program : programs) {
    const bool is_target = case_.companion && program.words == case_.target.words;
    failed_ += failure_of(program, is_target ? run_target(program, {}, done) : run_untraced(program));
  }
}

std::vector<Hurt> Trial::hurts() const {
  std::vector<Hurt> all;
  for (std::size_t i = 0; i < undisturbed_.calls.size(); ++i)
    for (const auto& hurt : hurts_of(undisturbed_.calls[i], i)) all.push_back(hurt);
  return all;
}

// Whoever loses sight of the program tries a part of it, and finds nothing in the rest.
void Trial::check_calls() {
  if (!undisturbed_.followed) defect("the undisturbed run was lost sight of before its end");
  if (undisturbed_.calls.empty()) defect("there is no call to hurt");
  const bool changes = without_links(expected_.ours) != without_links(staged_.ours);
  if (changes && std::ranges::none_of(undisturbed_.calls, &Call::changes))
    defect("none of the calls that count has changed anything", difference(staged_, expected_));
}

bool Trial::hurt(const Hurt& hurt) {
  failed_.clear();
  if (broken_) enter_world();
  const auto done = [&](const State& state) { return without_links(state.ours) == without_links(expected_.ours); };
  current_ = "call " + std::to_string(hurt.at + 1) + ", " + describe(hurt);
  play(case_.before, done);
  check_state("before", staged_);
  const Outcome outcome = run_target(case_.target, hurt, done);
  if (outcome.calls.size() > hurt.at)
    current_ = "call " + std::to_string(hurt.at + 1) + " " + describe(outcome.calls[hurt.at]) + ", " + describe(hurt);
  if (outcome.hurt) ++(hurt.kind == Hurt::Kind::kKill ? figures_.kills : figures_.errors);
  check_outcome(hurt, outcome);
  const State after = wait_for_state([&](const State& s) { return s == staged_ || s == expected_; },
                                     std::chrono::milliseconds(outcome.hurt ? 30 : 1000));
  const bool needs_repair = after != staged_ && after != expected_;
  const State settled = wait_for_state([&](const State& s) { return s.foreign == baseline_.foreign; }, kSettles);
  if (settled.foreign != baseline_.foreign)
    defect("something foreign is not what it was", difference(only_foreign(baseline_), only_foreign(settled)));
  play(case_.again, done);
  check_state("after the next ordinary run", case_.again_undoes ? staged_ : expected_);
  if (needs_repair) ++figures_.repaired;
  play(case_.undo, done);
  check_state("after all was undone", baseline_);
  return outcome.hurt;
}

void Trial::check_outcome(const Hurt& hurt, const Outcome& outcome) {
  if (outcome.hung) return defect("it hangs", outcome.err);
  if (hurt.kind == Hurt::Kind::kKill && outcome.hurt) return;
  if (outcome.signal != 0) return defect("it ends by signal " + std::to_string(outcome.signal), outcome.err);
  const bool hook = case_.manner != Case::Manner::kCommand;
  if (hook && !outcome.out.empty()) defect("the hook prints", outcome.out);
  if (case_.manner == Case::Manner::kHook && outcome.status != 0) defect("the hook fails", outcome.err);
  if (outcome.status != 0) {
    if (outcome.err.size() < 10 || outcome.err.back() != '\n') defect("it fails without a word", outcome.err);
    return;
  }
  if (hook && !outcome.err.empty()) return;
  const State state = wait_for_state([&](const State& s) { return s == expected_; }, kSettles);
  if (state != expected_) defect("it says that all is done", difference(expected_, state) + outcome.err);
  // Who is left behind has nobody to tell.
  if (case_.compare_output && !outcome.in_child && outcome.out != undisturbed_.out)
    defect("it says that all is done", "    " + outcome.out + " instead of " + undisturbed_.out + outcome.err);
}

void Trial::check_state(const std::string& when, const State& wanted) {
  const State state = wait_for_state([&](const State& s) { return s == wanted; }, kSettles);
  if (state != wanted) defect(when, difference(wanted, state));
}

void Trial::defect(const std::string& what, const std::string& details) {
  ++figures_.defects;
  broken_ = true;
  std::printf("DEFECT %s: %s: %s\n%s%s%s", case_.name.c_str(), current_.c_str(), what.c_str(), details.c_str(),
              details.ends_with('\n') || details.empty() ? "" : "\n", failed_.c_str());
  std::fflush(stdout);
}

}  // namespace vmt::crash
