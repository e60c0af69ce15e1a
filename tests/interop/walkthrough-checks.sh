# What the README's walk-through promises besides its commands; run behind them in the same shell.
grep -q 'Header injection in Widget.render' case.json
[[ -n "$fix" && -s fetched.mbox ]]
grep -q 'replace' packaged/widget.py
[[ "$(find practice/state/mail -type f | wc -l)" -ge 2 ]]
if grep -rq 'Header injection' practice/state/mail; then exit 1; fi

# notmuch reads a packager's mail: encryption good, signature good, the inner subject, the fix attached.
mkdir -p reader/mail/cur reader/mail/new reader/mail/tmp
cp "$(find practice/state/mail -path '*security@debian.example*' -type f | sort | head -n 1)" reader/mail/cur/one
printf '[database]\npath=%s\n[user]\nname=Debian\nprimary_email=security@debian.example\n' "$PWD/reader/mail" > reader/config
export NOTMUCH_CONFIG="$PWD/reader/config"
notmuch new --quiet
notmuch show --format=json --decrypt=true --verify '*' > reader/shown.json
python3 - reader/shown.json <<'PYTHON'
import json, sys

message = json.load(open(sys.argv[1]))[0][0][0]
crypto = message["crypto"]
assert message["headers"]["Subject"] == "PRACTICE EMBARGO widgetlib: Header injection in Widget.render", message["headers"]
assert crypto["decrypted"]["header-mask"] == {"Subject": "[...]"}, crypto
assert [status["status"] for status in crypto["signed"]["status"]] == ["good"], crypto
names = []
def walk(parts):
    for part in parts:
        assert part.get("encstatus", [{"status": "good"}])[0]["status"] == "good", part["encstatus"]
        names.append(part.get("filename"))
        if isinstance(part.get("content"), list):
            walk(part["content"])
walk(message["body"])
assert "main.mbox" in names, names
PYTHON

# neomutt, in a terminal, shows the same: the subject only once the message is open, the text, the fix's name.
python3 "$EMBARGOD_INTEROP/neomutt.py" "$PWD/reader/mail" \
    'PRACTICE EMBARGO widgetlib: Header injection in Widget.render' 'A line break in a name starts a new header.' \
    main.mbox > reader/transcript
