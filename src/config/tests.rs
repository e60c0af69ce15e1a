//! The file as operators write it, well and badly.

use super::*;

const SHORTEST: &str = "[server]\nurl = 'https://embargo.example'\n\
    [mail]\nfrom = 'embargo@host.example'\n[mail.relay]\nhost = 'smtp.example'\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("embargod.toml"))
}

fn refusal(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn the_shortest_file_has_a_default_for_everything_else() {
    let config = parse(SHORTEST).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8080");
    assert_eq!((config.server.id_prefix.as_str(), config.mail.max_bytes), ("EMB", 8_388_608));
    assert_eq!(config.database_url().unwrap(), "state/embargod.sqlite");
    assert_eq!(config.log.format, LogFormat::Text);
}

#[test]
fn a_misspelt_key_names_its_line_and_the_one_that_was_meant() {
    let text = SHORTEST.replace("[mail]", "lisen = '127.0.0.1:1'\n[mail]");
    assert_eq!(
        refusal(&text),
        "embargod.toml line 3: unknown key \"lisen\"; did you mean \"listen\"? Known here: url, listen, id_prefix"
    );
    let text = SHORTEST.replace("host =", "hots =");
    assert!(refusal(&text).starts_with("embargod.toml line 6: unknown key \"hots\"; did you mean \"host\"?"));
    let text = format!("{SHORTEST}[logs]\nfilter = 'info'");
    assert!(refusal(&text).contains("unknown key \"logs\"; did you mean \"log\"?"), "{}", refusal(&text));
    let text = format!("{SHORTEST}[tracing]");
    assert!(
        refusal(&text).ends_with("known here: server, database, keys, mail, log, limits, metrics"),
        "{}",
        refusal(&text)
    );
}

#[test]
fn what_cannot_work_is_refused_with_what_to_write() {
    for (from, to, expected) in [
        ("https://embargo.example", "https://embargo.example/", "without a slash at the end"),
        ("https://embargo.example", "embargo.example", "server.url"),
        ("https://embargo.example", "https://a.example/\" onload=", "server.url"),
        ("[mail]", "id_prefix = 'emb'\n[mail]", "server.id_prefix"),
        ("[mail]", "listen = 'localhost'\n[mail]", "127.0.0.1:8080"),
        ("[mail]", "[metrics]\nlisten = '127.0.0.1:8080'\n[mail]", "not for the public"),
        ("[mail]", "[metrics]\nlisten = '9187'\n[mail]", "127.0.0.1:9187"),
        ("[mail]\n", "[database]\nurl = 'a'\nurl_file = 'b'\n[mail]\n", "not both"),
        ("[mail]\n", "[mail]\nmax_bytes = 10\n", "mail.max_bytes"),
        ("smtp.example'", "smtp.example'\ntls = 'none'", "loopback"),
        ("[server]", "[server]\nurl = 'http://x'", "line 3"),
        ("url =", "# url =", "missing field `url`"),
    ] {
        let refusal = refusal(&SHORTEST.replacen(from, to, 1));
        assert!(refusal.contains(expected), "{to}: {refusal}");
    }
}

#[test]
fn paths_lie_beside_the_file_and_absolute_ones_stay() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("embargod.toml");
    std::fs::write(&path, format!("{SHORTEST}ca_file = '/etc/ca.pem'\npassword_file = 'p'\nuser = 'u'"))
        .unwrap();
    let config = Config::load(&path, None).unwrap();
    assert_eq!(config.keys.kek_file, directory.path().join("state/kek"));
    assert_eq!(config.state(), directory.path().join("state"));
    let database = directory.path().join("state/embargod.sqlite");
    assert_eq!(config.database_url().unwrap(), database.to_str().unwrap());
    assert_eq!(config.mail.relay.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(config.mail.relay.password_file, Some(directory.path().join("p")));
    let again = parse(&config.to_text()).unwrap();
    assert_eq!(again, config, "what is shown can be used");
}

#[test]
fn a_password_is_read_from_its_file_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("embargod.toml");
    let secret = "postgres://embargod:geheim@db.example/embargod";
    std::fs::write(directory.path().join("url"), format!("{secret}\n")).unwrap();
    std::fs::write(&path, format!("{SHORTEST}[database]\nurl_file = 'url'")).unwrap();
    assert_eq!(Config::load(&path, None).unwrap().database_url().unwrap(), secret);
    std::fs::write(&path, format!("{SHORTEST}[database]\nurl = '{secret}'")).unwrap();
    let config = Config::load(&path, None).unwrap();
    assert_eq!(config.database_url().unwrap(), secret, "an address is no path");
    assert!(!config.to_text().contains("geheim"));
    assert!(config.to_text().contains("postgres://embargod:***@db.example/embargod"));
}

#[test]
fn only_this_machine_is_loopback() {
    for (url, is_loopback) in [
        ("http://127.0.0.1:8080", true),
        ("http://localhost", true),
        ("http://[::1]:8080", true),
        ("http://127.0.0.1.attacker.example", false),
        ("https://embargo.example", false),
    ] {
        let config = parse(&SHORTEST.replace("https://embargo.example", url)).unwrap();
        assert_eq!(config.url_is_loopback(), is_loopback, "{url}");
    }
    for (url, address) in [
        ("http://127.0.0.1:18180", "127.0.0.1:18180"),
        ("http://localhost", "127.0.0.1:80"),
        ("http://[::1]:8081", "[::1]:8081"),
        ("http://[::1]", "[::1]:80"),
    ] {
        assert_eq!(loopback(url), Some(address.parse().unwrap()), "{url}");
    }
    assert_eq!(loopback("http://127.0.0.1:99999"), None);
}

#[test]
fn a_credential_comes_before_what_the_file_names_and_stands_in_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let credentials = tempfile::tempdir().unwrap();
    let path = directory.path().join("embargod.toml");
    std::fs::write(&path, format!("{SHORTEST}user = 'u'\n[database]\nurl = 'elsewhere.sqlite'")).unwrap();
    let refusal = Config::load(&path, Some(credentials.path())).unwrap_err().to_string();
    assert!(refusal.contains("or leave a credential `relay-password`"), "{refusal}");
    let secret = "postgres://embargod:geheim@db.example/embargod";
    std::fs::write(credentials.path().join(DATABASE_CREDENTIAL), format!("{secret}\n")).unwrap();
    std::fs::write(credentials.path().join(PASSWORD_CREDENTIAL), "geheim").unwrap();
    let config = Config::load(&path, Some(credentials.path())).unwrap();
    assert_eq!(config.database_url().unwrap(), secret);
    assert_eq!(config.mail.relay.password_file, Some(credentials.path().join(PASSWORD_CREDENTIAL)));
    assert_eq!(
        config.keys.kek_file,
        directory.path().join("state/kek"),
        "the state directory stays where it is"
    );
    assert!(!config.to_text().contains("geheim"));
    std::fs::write(&path, format!("{SHORTEST}[database]\nurl = 'a'\nurl_file = 'b'")).unwrap();
    assert!(Config::load(&path, Some(credentials.path())).is_err(), "what contradicts itself stays wrong");
}

#[test]
fn what_is_no_toml_or_of_the_wrong_kind_says_the_line_and_what_to_write() {
    let relay = |line: &str| format!("{SHORTEST}{line}\n");
    for (text, expected) in [
        (
            relay("port = '587'"),
            "embargod.toml line 7: invalid type: string \"587\", expected u16; write port = 587 (a number from 1 to 65535)",
        ),
        (relay("port = -1"), "write port = 587"),
        (relay("port = 70000"), "write port = 587"),
        (relay("user = 5"), "write user = \"embargod\" (a name)"),
        (relay("tls = 'tsl'"), "write tls = \"starttls\" (one of \"starttls\", \"implicit\", \"none\")"),
        (
            relay("host = 'again.example'"),
            "line 7: duplicate key; host in [mail.relay] is written before; keep one",
        ),
        (relay("[server]"), "line 7: duplicate key; [server] is written before; keep one of the two"),
        (SHORTEST.replace("url =", "# url ="), "in [server] write url = \"https://embargo.example\""),
        (
            SHORTEST.replace("[server]\nurl = 'https://embargo.example'\n", ""),
            "add a section [server] with url = ",
        ),
        (
            SHORTEST.replace("[mail.relay]\nhost = 'smtp.example'\n", ""),
            "add a section [mail.relay] with host = ",
        ),
        (relay("host 'x'"), "line 7: "),
    ] {
        let refusal = refusal(&text);
        assert!(refusal.contains(expected), "{expected}\n{refusal}");
        assert!(!refusal.contains('\n'), "{refusal}");
    }
    for section in reference::SECTIONS {
        let first = section.keys[0].name;
        let text = format!("[{}]\n{first}x = 1", section.name);
        assert!(refusal(&text).contains(&format!("did you mean \"{first}\"?")), "{}", refusal(&text));
    }
}
