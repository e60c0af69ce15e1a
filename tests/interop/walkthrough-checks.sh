# What the README's walk-through promises besides its commands; run behind them in the same shell.
grep -q 'Header injection in Widget.render' case.json
[[ -n "$fix" && -s fetched.mbox ]]
grep -q 'replace' packaged/widget.py
[[ "$(find practice/state/mail -type f | wc -l)" -ge 2 ]]
! grep -rq 'Header injection' practice/state/mail
