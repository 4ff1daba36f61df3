#!/usr/bin/env bash
# After a run of pytest that failed, in three tests at most: their files are run once more, one test after the other.
# Arguments go to pytest.
# A machine that other work holds up for seconds fails one test of eleven thousand now and then. What passes only here is named, and is
# an open fault all the same: of the test, or a race of the product.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
[ -f .pytest_cache/v/cache/lastfailed ] || exit 1 # it was no test that failed
failed=$(.venv/bin/python -c 'import json, sys; print(*json.load(open(sys.argv[1])), sep="\n")' .pytest_cache/v/cache/lastfailed)
echo "AGAIN:" "$failed"
[ "$(wc -l <<<"$failed")" -le 3 ] || { echo "$0: that is no accident" >&2; exit 1; }
cut -d: -f1 <<<"$failed" | sort -u | xargs .venv/bin/pytest -q -n 0 "$@"
echo "PASSED AT THE SECOND TIME ONLY:" "$failed"
