//! The operator's commands over real installations in directories of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use tempfile::TempDir;

use super::console::{Console, Global, recovery_path, settings};
use super::doctor::{self, Level};
use super::failure::Failure;
use super::init::{self, InitArguments};
use super::packager::{self, PackagerCommand};
use super::{Arguments, Command, audit, pages, practice, project};
use crate::app::Refusal;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::relay::RelayTls;
use crate::demo::sink::{Fault, Sink, Stage};
use crate::domain::address::Address;
use crate::entropy::Entropy;
use crate::openpgp::{Person, Suite};
use crate::vault::KeyEncryptionKey;

fn person(user_id: &str) -> Person {
    let made = Clock::System.now() - chrono::Duration::hours(1);
    Person::generate(user_id, Suite::Cv25519, made).unwrap()
}

/// A directory with a maintainer's certificate in it, and room for an installation.
pub(super) struct Place {
    directory: TempDir,
    pub(super) ada: Person,
}

impl Place {
    pub(super) fn new() -> Self {
        let place =
            Self { directory: tempfile::tempdir().unwrap(), ada: person("Ada <ada@upstream.example>") };
        place.file("ada.asc", &place.ada.certificate().to_armored());
        place
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn global(&self) -> Global {
        Global { config: self.path("embargo/embargod.toml"), credentials: None }
    }

    pub(super) fn init(&self, more: &[&str]) -> Result<super::founding::Founded, Failure> {
        let (directory, ada) = (self.path("embargo"), self.path("ada.asc"));
        let mut line = vec!["embargod", "init", "--project", "requests", "--preset", "requests"];
        line.extend(["--directory", directory.to_str().unwrap(), "--maintainer", ada.to_str().unwrap()]);
        line.extend(more);
        init::make(&init_arguments(&line), &Clock::System, &Entropy::System)
    }
}

fn parse(line: &[&str]) -> Command {
    Arguments::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).command
}

fn init_arguments(line: &[&str]) -> InitArguments {
    let Command::Init(arguments) = parse(line) else { panic!("no init: {line:?}") };
    arguments
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_has_a_manual_page_that_says_everything() {
    crate::cli::manual::tests::check::<Arguments>(&pages::BOOK);
}

#[test]
fn what_init_makes_can_be_opened_by_the_server_and_by_the_maintainer_alone() {
    let place = Place::new();
    let founded = place.init(&["--branch", "main", "--url", "https://embargo.upstream.example"]).unwrap();
    let state = place.path("embargo/state");
    for (name, expected) in [("kek", 0o400), ("embargod.sqlite", 0o600), (".", 0o700)] {
        assert_eq!(mode(&state.join(name)), expected, "{name}");
    }
    let left: Vec<_> =
        fs::read_dir(place.path("embargo")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");

    let console = Console::open(&place.global()).unwrap();
    assert!(!console.practice);
    assert_eq!(console.config.mail.from, "embargo@embargo.upstream.example");
    settings(&console.config, false).unwrap();
    let (projects, maintainers) =
        console.store.read_now(|tx| Ok::<_, Refusal>((tx.projects()?, tx.maintainers()?))).unwrap();
    assert_eq!(
        (projects[0].slug.as_str(), projects[0].policy.supported_branches.as_slice()),
        ("requests", &["main".to_owned()][..])
    );
    assert_eq!(
        (maintainers[0].name.as_str(), maintainers[0].address.as_str()),
        ("Ada", "ada@upstream.example")
    );

    let recovery = fs::read(recovery_path(&state, &place.ada.certificate().fingerprint())).unwrap();
    let opened = place.ada.decrypt(&recovery, None, Clock::System.now()).unwrap();
    let text = String::from_utf8(opened.plaintext).unwrap();
    let kek = fs::read_to_string(state.join("kek")).unwrap();
    assert_eq!(text.lines().last(), Some(kek.trim()));
    assert!(text.contains(&founded.server));
    KeyEncryptionKey::from_text(&kek).unwrap();
}

#[test]
fn the_file_that_init_writes_fits_on_a_screen_and_explains_every_line() {
    for more in [&[][..], &["--practice"]] {
        let place = Place::new();
        place.init(more).unwrap();
        let text = fs::read_to_string(place.global().config).unwrap();
        assert!(text.lines().count() <= 40, "{text}");
        assert!(text.lines().filter(|line| line.contains('=')).all(|line| line.contains(" # ")), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
        let config = Config::load(&place.global().config, None).unwrap();
        assert!(config.mail_stays_here());
    }
}

#[test]
fn the_relay_that_init_is_told_is_used_with_a_password_that_only_its_owner_may_read() {
    let place = Place::new();
    let password = place.file("password", "between us\n");
    let relay = ["--relay", "smtp://embargod@smtp.example"];
    let refused = place.init(&relay).err().unwrap();
    assert!(refused.parts().1.unwrap().contains("--relay-password"), "{refused}");
    place.init(&[&relay[..], &["--relay-password", password.to_str().unwrap()]].concat()).unwrap();
    let kept = place.path("embargo/state/relay-password");
    assert_eq!((fs::read_to_string(&kept).unwrap().as_str(), mode(&kept)), ("between us\n", 0o400));
    let relay = place.global().load().unwrap().mail.relay;
    assert_eq!((relay.host.as_str(), relay.port, relay.tls), ("smtp.example", 587, RelayTls::Starttls));
    assert_eq!(
        (relay.user.as_deref(), relay.password_file.as_deref()),
        (Some("embargod"), Some(kept.as_path()))
    );
}

#[test]
fn a_second_init_is_refused_and_changes_nothing() {
    let place = Place::new();
    place.init(&[]).unwrap();
    let kek = fs::read(place.path("embargo/state/kek")).unwrap();
    let refused = place.init(&[]).err().unwrap().to_string();
    assert!(refused.contains("embargod.toml is there already; nothing was changed"), "{refused}");
    assert_eq!(fs::read(place.path("embargo/state/kek")).unwrap(), kek);
    fs::remove_file(place.path("embargo/embargod.toml")).unwrap();
    assert!(place.init(&[]).err().unwrap().to_string().contains("state is there already"));
}

#[test]
fn an_init_that_is_refused_half_way_leaves_nothing_behind() {
    let place = Place::new();
    // The second certificate is looked at when database and key exist already.
    let bad = place.file("bad.asc", "no certificate");
    let refused = place.init(&["--maintainer", bad.to_str().unwrap()]).err().unwrap().to_string();
    assert!(refused.contains("not OpenPGP data"), "{refused}");
    assert!(!place.path("embargo").exists());
    fs::create_dir(place.path("embargo")).unwrap();
    assert!(place.init(&["--maintainer", bad.to_str().unwrap()]).is_err());
    assert_eq!(fs::read_dir(place.path("embargo")).unwrap().count(), 0);
    place.init(&[]).unwrap();
}

#[test]
fn a_server_for_this_machine_listens_where_its_address_says_and_any_other_behind_a_proxy() {
    for (url, listen) in [
        ("http://127.0.0.1:18180", "127.0.0.1:18180"),
        ("http://localhost:8081", "127.0.0.1:8081"),
        ("https://embargo.upstream.example", "127.0.0.1:8080"),
    ] {
        let place = Place::new();
        place.init(&["--url", url]).unwrap();
        assert_eq!(place.global().load().unwrap().server.listen.to_string(), listen, "{url}");
    }
    let place = Place::new();
    let (what, cure) = place.init(&["--url", "http://embargo.upstream.example"]).err().unwrap().parts();
    assert!(what.contains("without TLS") && cure.unwrap().contains("https://"), "{what}");
    assert!(!place.path("embargo").exists());
}

#[test]
fn a_branch_that_could_never_get_a_fix_is_no_supported_branch() {
    let place = Place::new();
    let refused = place.init(&["--branch", "main", "--branch", "../../etc"]).err().unwrap().to_string();
    assert!(refused.contains("branch 2") && refused.contains("A-Z a-z 0-9"), "{refused}");
    place.init(&["--branch", "main"]).unwrap();
    let line = ["embargod", "project", "add", "x", "--preset", "requests", "--branch", "../../etc"];
    let Command::Project(command) = parse(&line) else { panic!("{line:?}") };
    let refused = project::run(&place.global(), command).unwrap_err().to_string();
    assert!(refused.contains("no two dots in a row"), "{refused}");
}

/// `embargod packager add`, with whatever follows.
fn packager_add(place: &Place, more: &[&str]) -> Result<(), Failure> {
    let line = [&["embargod", "packager", "add"], more].concat();
    let Command::Packager(command) = parse(&line) else { panic!("{line:?}") };
    packager::run(&place.global(), command).map(drop)
}

/// The packagers of a project.
fn members(place: &Place, project: &str) -> Vec<String> {
    let console = Console::open(&place.global()).unwrap();
    let read = console.store.read_now(|tx| {
        let project = tx.projects()?.into_iter().find(|known| known.slug == project).unwrap();
        Ok::<_, Refusal>(tx.members(&project.id)?)
    });
    read.unwrap().into_iter().map(|packager| packager.slug).collect()
}

fn add_project(place: &Place, slug: &str) {
    let line = ["embargod", "project", "add", slug, "--preset", "requests"];
    let Command::Project(command) = parse(&line) else { panic!("{line:?}") };
    project::run(&place.global(), command).unwrap();
}

#[test]
fn nobody_is_invited_under_a_short_name_that_would_be_refused_later() {
    let place = Place::new();
    place.init(&[]).unwrap();
    for slug in ["../x", "Debian", ""] {
        let refused =
            packager_add(&place, &[slug, "--contact", "a@b.example", "--project", "requests"]).unwrap_err();
        assert!(refused.to_string().contains("short name"), "{slug:?}: {refused}");
    }
    packager_add(&place, &["x", "--contact", "a@b.example", "--project", "requests"]).unwrap();
}

#[test]
fn a_packager_who_is_there_is_approved_for_one_more_project_with_or_without_its_certificate() {
    let place = Place::new();
    place.init(&[]).unwrap();
    for project in ["flask", "widgetlib"] {
        add_project(&place, project);
    }
    let debian = person("D <security@debian.example>");
    let file = place.file("debian.asc", &debian.certificate().to_armored());
    let file = file.to_str().unwrap();
    let contact = ["debian", "--contact", "security@debian.example"];
    let with_certificate = |project| [&contact[..], &["--certificate", file, "--project", project]].concat();
    packager_add(&place, &with_certificate("requests")).unwrap();
    packager_add(&place, &with_certificate("flask")).unwrap();
    packager_add(&place, &[&contact[..], &["--project", "widgetlib"]].concat()).unwrap();
    for project in ["requests", "flask", "widgetlib"] {
        assert_eq!(members(&place, project), ["debian"], "{project}");
    }
    let contacts =
        Console::open(&place.global()).unwrap().store.read_now(|tx| Ok::<_, Refusal>(tx.contacts()?));
    assert_eq!(contacts.unwrap().len(), 1);

    // The same certificate for somebody else, or at another address, is a mistake.
    for line in [["suse", "--contact", "security@suse.example"], ["debian", "--contact", "d@debian.example"]]
    {
        let line = [&line[..], &["--certificate", file, "--project", "requests"]].concat();
        let (what, cure) = packager_add(&place, &line).unwrap_err().parts();
        assert!(what.contains("belongs to"), "{what}");
        assert!(cure.unwrap().contains("embargod packager list"), "what to do is for the operator");
    }
}

#[test]
fn nobody_is_maintainer_and_packager_with_one_certificate() {
    let place = Place::new();
    place.init(&[]).unwrap();
    let ada = place.path("ada.asc");
    let line = ["a", "--contact", "ada@upstream.example", "--project", "requests", "--certificate"];
    let refused = packager_add(&place, &[&line[..], &[ada.to_str().unwrap()]].concat()).unwrap_err();
    assert!(refused.to_string().contains("belongs to a maintainer"), "{refused}");

    let debian = person("D <security@debian.example>");
    add(&place, &[], &debian.certificate().to_bytes()).unwrap();
    let console = Console::open(&place.global()).unwrap();
    let refused =
        console.operator().add_maintainer("requests", &debian.certificate().to_bytes()).unwrap_err();
    assert!(refused.to_string().contains("belongs to a packager's contact"), "{refused}");
}

#[test]
fn what_was_given_is_taken_back_in_a_line_and_the_last_maintainer_only_with_one_more_word() {
    let place = Place::new();
    place.init(&[]).unwrap();
    let debian = person("D <security@debian.example>");
    add(&place, &[], &debian.certificate().to_bytes()).unwrap();
    let run = |line: &[&str]| super::execute(&place.global(), parse(&[&["embargod"], line].concat()));
    run(&["packager", "remove-contact", "security@debian.example"]).unwrap();
    add(&place, &[], &debian.certificate().to_bytes()).unwrap();
    run(&["packager", "remove", "debian", "--project", "requests"]).unwrap();
    assert_eq!(members(&place, "requests"), [""; 0]);
    run(&["packager", "remove", "debian"]).unwrap();
    run(&["packager", "remove", "debian"]).unwrap_err();
    let ada = place.ada.certificate().fingerprint();
    let (_, cure) = run(&["project", "member", "remove", "requests", &ada]).unwrap_err().parts();
    assert!(cure.unwrap().contains("--leave-nobody"));
    run(&["project", "member", "remove", "requests", "ada@upstream.example", "--leave-nobody"]).unwrap();
    run(&["certificate", "revoke", &ada, "--reason", "Ada: stolen"]).unwrap();
    run(&["project", "member", "add", "requests", "--certificate", place.path("ada.asc").to_str().unwrap()])
        .unwrap_err();
}

fn add(place: &Place, more: &[&str], certificate: &[u8]) -> Result<(), Failure> {
    let mut line = vec!["embargod", "packager", "add", "debian", "--contact", "security@debian.example"];
    line.extend(["--project", "requests", "--certificate", "debian.asc"]);
    line.extend(more);
    let Command::Packager(PackagerCommand::Add(arguments)) = parse(&line) else { panic!("{line:?}") };
    packager::add(&Console::open(&place.global()).unwrap(), &arguments, certificate)
}

#[test]
fn a_packager_whose_key_cannot_be_used_is_refused_with_what_its_owner_can_type() {
    let place = Place::new();
    place.init(&[]).unwrap();
    // Made in the future: valid later, and of no use now.
    let later = Clock::System.now() + chrono::Duration::days(400);
    let early = Person::generate("D <security@debian.example>", Suite::Cv25519, later).unwrap();
    let refused = add(&place, &[], &early.certificate().to_bytes()).unwrap_err();
    assert!(refused.to_string().contains(&early.certificate().fingerprint()), "{refused}");

    let secret = place.ada.secret_armored().unwrap();
    let refused = add(&place, &[], secret.as_bytes()).unwrap_err().to_string();
    assert!(refused.contains("gpg --armor --export"), "{refused}");

    let good = person("D <security@debian.example>");
    let refused = add(&place, &["--project", "flask"], &good.certificate().to_bytes()).unwrap_err();
    assert!(refused.to_string().contains("there are: requests"), "{refused}");
    let listed = |place: &Place| {
        Console::open(&place.global()).unwrap().store.read_now(|tx| Ok::<_, Refusal>(tx.contacts()?)).unwrap()
    };
    assert!(listed(&place).is_empty(), "nothing of a refused packager stays");
    add(&place, &[], &good.certificate().to_bytes()).unwrap();
    assert_eq!(listed(&place)[0].address, "security@debian.example");
}

#[test]
fn a_certificate_that_expired_years_ago_names_what_its_owner_can_type() {
    let place = Place::new();
    place.init(&[]).unwrap();
    let made = Clock::System.now() - chrono::Duration::days(4 * 365);
    let expired = crate::openpgp::ServerKey::generate("<security@debian.example>", made).unwrap();
    let (what, cure) = add(&place, &[], &expired.certificate().to_bytes()).unwrap_err().parts();
    assert!(what.contains("expired on"), "{what}");
    let cure = cure.unwrap();
    assert!(cure.starts_with("ask its owner for what this prints:  gpg "), "{cure}");
    assert!(cure.contains("--quick-set-expire") && cure.contains(" && gpg --armor --export "), "{cure}");
}

#[test]
fn an_exception_for_sha1_needs_a_day_to_come_and_a_reason_which_is_kept_in_the_log() {
    let line = ["embargod", "packager", "add", "d", "--contact", "a@b.example", "--project", "p"];
    let without_reason = [&line[..], &["--certificate", "x", "--allow-sha1", "2099-01-01"]].concat();
    assert!(Arguments::try_parse_from(without_reason).is_err());
    let place = Place::new();
    place.init(&[]).unwrap();
    let good = person("D <security@debian.example>").certificate().to_bytes();
    let over = add(&place, &["--allow-sha1", "2020-01-01", "--reason", "Ada"], &good).unwrap_err();
    assert!(over.to_string().contains("is over"), "{over}");
    let entries = || {
        Console::open(&place.global())
            .unwrap()
            .store
            .read_now(|tx| Ok::<_, Refusal>(tx.verify_audit()?))
            .unwrap()
            .unwrap()
    };
    let before = entries();
    add(&place, &["--allow-sha1", "2099-01-01", "--reason", "Ada"], &good).unwrap();
    assert_eq!(entries(), before + 2, "one for the packager, one for the exception");
}

#[test]
fn doctor_finds_what_is_wrong_and_says_how_to_mend_it() {
    let place = Place::new();
    place.init(&["--practice"]).unwrap();
    let look = || doctor::look(&place.global(), &Clock::System, None).unwrap();
    let texts = |level: Level| -> Vec<String> {
        look().into_iter().filter(|finding| finding.level == level).map(|finding| finding.text).collect()
    };
    assert_eq!(texts(Level::Fail), [""; 0]);
    let warned = texts(Level::Warn);
    assert!(warned[0].contains("no second maintainer") && warned[1].contains("no packager"), "{warned:?}");
    assert!(look().iter().all(|finding| finding.cure.is_some() || finding.level == Level::Ok));

    add_project(&place, "flask");
    let warned = texts(Level::Warn);
    assert!(warned.iter().any(|text| text.starts_with("flask has no maintainer")), "{warned:?}");

    let kek = place.path("embargo/state/kek");
    let recovery = recovery_path(&place.path("embargo/state"), &place.ada.certificate().fingerprint());
    fs::rename(&recovery, place.path("away")).unwrap();
    assert!(texts(Level::Warn)[0].contains("no recovery file"), "{:?}", texts(Level::Warn));
    fs::set_permissions(&kek, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(texts(Level::Fail)[0].contains("may be used by others"), "{:?}", texts(Level::Fail));
    fs::write(&kek, format!("{}\n", "0".repeat(64))).unwrap();
    assert!(texts(Level::Fail).iter().any(|text| text.contains("does not open")), "{:?}", texts(Level::Fail));
    let text = fs::read_to_string(place.global().config).unwrap();
    fs::write(place.global().config, text.replace("state/embargod.sqlite", "state/other.sqlite")).unwrap();
    let failed = texts(Level::Fail);
    assert!(failed.iter().any(|text| text.contains("there is no database at")), "{failed:?}");
    assert!(!place.path("embargo/state/other.sqlite").exists(), "a doctor makes no database");
}

/// A certificate that can be used for ten more days.
fn expiring(user_id: &str) -> Vec<u8> {
    let now = Clock::System.now();
    let one = crate::openpgp::ServerKey::generate(user_id, now).unwrap();
    let life = one.expires_at().unwrap() - now;
    let made = now + chrono::Duration::days(10) - life;
    crate::openpgp::ServerKey::generate(user_id, made).unwrap().certificate().to_bytes()
}

#[test]
fn doctor_names_whose_certificate_ends_soon_and_what_its_owner_can_type() {
    let place = Place::new();
    place.init(&[]).unwrap();
    add(&place, &[], &expiring("<security@debian.example>")).unwrap();
    let found = doctor::look(&place.global(), &Clock::System, None).unwrap();
    let soon: Vec<_> = found.iter().filter(|finding| finding.text.contains(" expires on ")).collect();
    assert_eq!(soon.len(), 1, "{soon:?}");
    assert_eq!(soon[0].level, Level::Warn);
    assert!(soon[0].text.starts_with("contact debian <security@debian.example>: certificate "), "{soon:?}");
    let cure = soon[0].cure.as_deref().unwrap();
    assert!(
        cure.starts_with("ask its owner for what this prints:  gpg ") && cure.contains("--quick-set-expire"),
        "{cure}"
    );
}

#[test]
fn doctor_opens_no_recovery_file_and_sees_that_it_is_damaged_or_another_ones() {
    let place = Place::new();
    let ben = person("Ben <ben@upstream.example>");
    let file = place.file("ben.asc", &ben.certificate().to_armored());
    place.init(&["--maintainer", file.to_str().unwrap()]).unwrap();
    let texts = || -> Vec<String> {
        doctor::look(&place.global(), &Clock::System, None)
            .unwrap()
            .into_iter()
            .map(|finding| finding.text)
            .collect()
    };
    let (ada, bens) =
        (&place.ada, recovery_path(&place.path("embargo/state"), &ben.certificate().fingerprint()));
    let sound = texts();
    assert!(
        sound.iter().any(|text| text.starts_with("recovery files: 2, for ")
            && text.contains("Ada <ada@upstream.example>")
            && text.contains("Ben <ben@upstream.example>")),
        "{sound:?}"
    );
    let adas = recovery_path(&place.path("embargo/state"), &ada.certificate().fingerprint());
    fs::copy(&adas, &bens).unwrap();
    let found = texts();
    let wrong = "the recovery file for maintainer Ben <ben@upstream.example> is encrypted to other keys";
    assert!(found.iter().any(|text| text == wrong), "{found:?}");
    fs::write(&bens, "-----BEGIN PGP MESSAGE-----\n\nhF4D\n").unwrap();
    let found = texts();
    assert!(found.iter().any(|text| text.ends_with("Ben <ben@upstream.example> is damaged")), "{found:?}");
}

#[test]
fn doctor_says_how_much_room_there_is_and_what_the_database_promises() {
    let place = Place::new();
    place.init(&[]).unwrap();
    let found = doctor::look(&place.global(), &Clock::System, None).unwrap();
    for beginning in ["disk: ", "database sqlite, write-ahead log", "files: ", "clock ", "server key "] {
        assert!(found.iter().any(|finding| finding.text.starts_with(beginning)), "{beginning}: {found:?}");
    }
}

#[test]
fn a_packager_is_added_with_a_warning_if_the_certificate_ends_soon_or_names_another_address() {
    let now = Clock::System.now();
    let codes = |certificate: &[u8], contact: &str| -> Vec<&str> {
        packager::warnings(contact, certificate, None, now).iter().map(|finding| finding.code).collect()
    };
    let soon = expiring("<security@debian.example>");
    assert_eq!(codes(&soon, "security@debian.example"), ["expires-too-soon"]);
    assert_eq!(codes(&soon, "team@debian.example"), ["expires-too-soon", "address-mismatch"]);
    let good = person("D <security@debian.example>").certificate().to_bytes();
    assert_eq!(codes(&good, "security@debian.example"), [""; 0]);
}

#[test]
fn doctor_sends_a_test_mail_only_when_asked_and_tells_what_the_relay_said_of_each() {
    let place = Place::new();
    place.init(&[]).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sink = runtime.block_on(Sink::start()).unwrap();
    let text = fs::read_to_string(place.global().config).unwrap();
    let port = format!("port = {}", sink.address().port());
    let text = text.replace("port = 25", &port).replace("\"localhost\"", "\"127.0.0.1\"");
    fs::write(place.global().config, text).unwrap();
    let look = |mail: Option<&[Address]>| {
        let found = doctor::look(&place.global(), &Clock::System, mail).unwrap();
        found.into_iter().filter(|finding| finding.text.starts_with("test mail")).collect::<Vec<_>>()
    };
    assert_eq!(look(None), []);
    assert_eq!(sink.messages().len(), 0);

    let found = look(Some(&[]));
    assert_eq!((found.len(), found[0].level), (1, Level::Ok), "{found:?}");
    assert!(found[0].text.starts_with("test mail to ada@upstream.example accepted: 250"), "{found:?}");
    let received = sink.for_recipient("ada@upstream.example");
    assert!(String::from_utf8_lossy(&received[0].bytes).contains("Test mail: nothing to do"));

    sink.plan_for("ben@upstream.example", Fault::reply(Stage::Rcpt, 550, "5.1.1 no such mailbox"));
    let found = look(Some(&["ben@upstream.example".parse().unwrap()]));
    assert_eq!(found[0].text, "test mail to ben@upstream.example refused: 550 5.1.1 no such mailbox");
    assert!(found[0].level == Level::Fail && found[0].cure.is_some(), "{found:?}");
    assert_eq!(sink.messages().len(), 1);
}

#[test]
fn practice_puts_its_test_mail_into_its_folder_marked_as_practice() {
    let place = Place::new();
    place.init(&["--practice"]).unwrap();
    let found = doctor::look(&place.global(), &Clock::System, Some(&[])).unwrap();
    assert!(found.iter().all(|finding| finding.level != Level::Fail), "{found:?}");
    let folder = place.path("embargo/state/mail/ada@upstream.example/new");
    let mails: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(mails.len(), 1);
    assert!(fs::read_to_string(&mails[0]).unwrap().contains("X-Embargod-Practice: yes"));
}

#[test]
fn a_credential_of_the_service_manager_comes_before_the_file() {
    let place = Place::new();
    place.init(&[]).unwrap();
    let credentials = tempfile::tempdir().unwrap();
    let global = Global { credentials: Some(credentials.path().to_owned()), ..place.global() };
    let config = global.load().unwrap();
    assert_eq!(global.kek_path(&config), config.keys.kek_file);
    fs::rename(&config.keys.kek_file, credentials.path().join("kek")).unwrap();
    assert_eq!(global.kek_path(&config), credentials.path().join("kek"));
    Console::open(&global).unwrap().store.read_now(|tx| Ok::<_, Refusal>(tx.check_key()?)).unwrap();
    assert!(place.global().kek(&config).err().unwrap().contains("cannot be read"));
}

#[test]
fn a_new_maintainer_gets_a_recovery_file_and_the_log_stays_whole() {
    let place = Place::new();
    place.init(&[]).unwrap();
    let ben = person("Ben <ben@upstream.example>");
    let file = place.file("ben.asc", &ben.certificate().to_armored());
    let line = ["embargod", "project", "member", "add", "requests", "--certificate", file.to_str().unwrap()];
    let Command::Project(command) = parse(&line) else { panic!("{line:?}") };
    project::run(&place.global(), command).unwrap();
    let path = recovery_path(&place.path("embargo/state"), &ben.certificate().fingerprint());
    ben.decrypt(&fs::read(path).unwrap(), None, Clock::System.now()).unwrap();
    audit::run(&place.global(), &audit::AuditCommand::Verify { json: false, file: None, certificate: None })
        .unwrap();
}

#[test]
fn a_zone_that_does_not_exist_names_the_one_that_was_meant() {
    assert_eq!(init::zone("Europe/Berlin").unwrap(), chrono_tz::Tz::Europe__Berlin);
    assert!(init::zone("Europe/Belrin").unwrap_err().contains("did you mean Europe/Berlin?"));
    assert!(init::zone("Middle/Earth").is_err());
}

#[test]
fn a_stopped_practice_clock_moves_in_its_file_and_an_ordinary_one_not_at_all() {
    let run = |place: &Place, line: &[&str]| {
        let Command::Practice(command) = parse(line) else { panic!("{line:?}") };
        practice::run(&place.global(), &command)
    };
    let place = Place::new();
    place.init(&["--practice"]).unwrap();
    let file = practice::ClockFile::below(&place.path("embargo/state"));
    let before = file.read().unwrap().unwrap();
    run(&place, &["embargod", "practice", "advance", "8d"]).unwrap();
    let after = file.read().unwrap().unwrap();
    assert!(after.now >= before.now + chrono::Duration::days(8));
    assert_eq!(after.served, before.served, "the next server goes through what became due meanwhile");
    assert!(Console::open(&place.global()).unwrap().clock.now() >= after.now);
    let ordinary = Place::new();
    ordinary.init(&[]).unwrap();
    let refused = run(&ordinary, &["embargod", "practice", "advance", "8d"]).unwrap_err().to_string();
    assert!(refused.contains("no practice installation"), "{refused}");
}
