"""What a host of its own would need, told from processes that share a machine with those of other hosts."""

from __future__ import annotations

from benchmarks.failover import sizes

SMAPS = """\
00400000-00401000 r-xp 00000000 08:01 123                /usr/bin/etcd
Size:                 80 kB
Rss:                  40 kB
Pss:                  10 kB
Anonymous:             0 kB
00500000-00501000 rw-p 00001000 08:01 123                /usr/bin/etcd
Rss:                   8 kB
Pss:                   8 kB
Anonymous:             6 kB
00600000-00700000 rw-p 00000000 00:00 0                  [heap]
Rss:                 100 kB
Pss:                  60 kB
Anonymous:           100 kB
00800000-00900000 rw-p 00000000 00:00 0 
Rss:                   4 kB
Pss:                   4 kB
Anonymous:             4 kB
00900000-00a00000 rw-s 00000000 00:01 7                  /dev/shm/store (deleted)
Rss:                  12 kB
Pss:                   3 kB
Anonymous:             0 kB
"""


def test_files_count_whole_and_memory_that_was_forked_by_its_share() -> None:
    """A file that a process of another host has, too, would be read on that one as well: its proportional size is too small."""
    anonymous, files = sizes(SMAPS.splitlines())
    assert anonymous == 6 + 60 + 4
    assert files == {
        ("/usr/bin/etcd", "00000000"): 40,
        ("/usr/bin/etcd", "00001000"): 2,
        ("/dev/shm/store (deleted)", "00000000"): 12,
    }
