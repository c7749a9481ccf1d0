# SPDX-License-Identifier: LGPL-2.1-or-later
# What growth is allowed: out of the part "guests" of a report, what 2,000 guests on eight parents cost over one guest.
(map(select(.parents == 8))) as $rows | ($rows | min_by(.guests)) as $one | ($rows | max_by(.guests)) as $many
| def growth(f): ($many | f) / ($one | f);
  def over_floor($what): growth(.us[$what].median_us) / growth(.us["floor-" + $what].median_us);
  [{what: "start: system calls", value: growth(.counts.start.calls), most: 1.5},
   {what: "start: bytes of netlink", value: growth(.counts.start.netlink_bytes), most: 1.5},
   {what: "stop: system calls", value: growth(.counts.stop.calls), most: 2},
   {what: "stop: bytes of netlink", value: growth(.counts.stop.netlink_bytes), most: 2},
   {what: "start: time, over the floor's growth", value: over_floor("start"), most: 1.15},
   {what: "stop: time, over the floor's growth", value: over_floor("stop"), most: 1.15}]
