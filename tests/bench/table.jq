# SPDX-License-Identifier: LGPL-2.1-or-later
# scripts/bench's report as Markdown.
def places($n): (. * ([range($n)] | reduce .[] as $i (1; . * 10)) | round) / ([range($n)] | reduce .[] as $i (1; . * 10)) | tostring;
def thousands: tostring | [while(length > 0; .[:-3]) | .[-3:]] | reverse | join(",");

def watch:
  "| what | value | target | |", "|---|---:|---:|---|",
  (.[] | "| \(.what) | \(.value | places(2)) \(.unit) | \(.target // "") | \(.note // "") |");

def data:
  "| what | offload headers | shim + macvtap | bridge + tap | ratio |", "|---|---|---:|---:|---:|",
  (.[] | "| \(.what) | \(if .vnet_hdr then "yes" else "no" end) | \(.shim | places(2)) \(.unit) | \(.bridge | places(2)) \(.unit) | \(.ratio | places(2)) |");

# Wall times, then counts, each with the growth over the row of one guest.
def guests:
  . as $all |
  (8, 1) as $parents |
  [$all[] | select(.parents == $parents)] as $rows | $rows[0] as $one |
  def ms($what): .us[$what].median_us / 1000 | places(2);
  def over($what): .us[$what].median_us / $one.us[$what].median_us;
  def count($what; $key): "\(.counts[$what][$key] | thousands) (\(.counts[$what][$key] / $one.counts[$what][$key] | places(2)))";
  "",
  "\($parents) parent\(if $parents == 1 then "" else "s" end), ms:", "",
  "| guests | start | floor | stop | floor | first | floor | last | floor | status | plan | of it libvirt | frame to route |",
  "|---:|" + "---:|" * 12,
  ($rows[] | "| \(.guests | thousands) | " + ([ms("start", "floor-start", "stop", "floor-stop", "first", "floor-first", "last", "floor-last", "status", "plan", "libvirt"), (.learn_ms | places(1))] | join(" | ")) + " |"),
  "",
  "Growth over one guest, its floor's, and the one by the other; system calls and bytes of netlink (growth):", "",
  "| guests | start | floor | ratio | stop | floor | ratio | start: calls | bytes | stop: calls | bytes | last: calls | bytes |",
  "|---:|" + "---:|" * 12,
  ($rows[] | "| \(.guests | thousands) | " + ([
     (over("start") | places(2)), (over("floor-start") | places(2)), (over("start") / over("floor-start") | places(2)),
     (over("stop") | places(2)), (over("floor-stop") | places(2)), (over("stop") / over("floor-stop") | places(2)),
     count("start"; "calls", "netlink_bytes"), count("stop"; "calls", "netlink_bytes"), count("last"; "calls", "netlink_bytes")] | join(" | ")) + " |");

def targets: "", "| target | value | at most | |", "|---|---:|---:|---|",
  (.[] | "| \(.what) | \(.value | places(2)) | \(.most) | \(if .value <= .most then "met" else "missed" end) |");

def times:
  "| what | median µs | p10 | p90 | ratios |", "|---|---:|---:|---:|---|",
  (to_entries[] |
    "| \(.key) | \(.value.median_us | places(1)) | \(.value.p10_us | places(1)) | \(.value.p90_us | places(1)) | " +
    ([.value.ratios | to_entries[] | "\(.value | places(3)) of \(.key)"] | join(", ")) + " |");

.targets as $targets |
.machine,
(.parts | to_entries[] |
  if .key == "watch" then "\n### watch\n", (.value | watch)
  elif .key == "data" then "\n### data\n", (.value | data)
  elif .key == "guests" then "\n### guests: medians of \(.value[0].us.start.rounds) interleaved rounds", (.value | guests), ($targets | targets)
  else "\n### \(.key): medians of \([.value[]][0].rounds) interleaved rounds\n", (.value | times) end)
