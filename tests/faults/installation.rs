//! An installation with one announced embargo, founded once as an operator would, and copied for every round.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use embargod::clock::Clock;
use embargod::domain::id::EmbargoId;
use embargod::entropy::Entropy;
use embargod::openpgp::Certificate;
use embargod::wire;
use tempfile::TempDir;

use crate::database::{Kind, PostgresDatabase, Way, copy_folder};
use crate::fault::Target;
use crate::harness::{Change, Client, Maintainer, Packager, Series, ordinary_text};
use crate::patience::Since;
use crate::people::{PACKAGERS, People};
use crate::relay::{Act, Relay};
use crate::server::{Server, Under, free_port, operate_under};

/// How long somebody who waits for a server rests between two looks.
const BETWEEN: Duration = Duration::from_millis(50);

/// What is copied.
pub struct Template {
    folder: TempDir,
    database: Option<PostgresDatabase>,
    pub people: People,
    /// The server's certificate.
    pub certificate: Certificate,
    /// The embargo that was announced to everybody.
    pub embargo: EmbargoId,
    /// The code in its notice.
    pub receipt_code: String,
    /// A maintainer's token.
    pub token: String,
    /// A token of the first packager.
    pub packager_token: String,
    /// Every address that is public once it is lifted.
    pub public_paths: Vec<String>,
    /// One copy at a time: PostgreSQL copies no database that somebody uses.
    copying: tokio::sync::Mutex<()>,
}

/// A copy, in which a round is played.
pub struct Place {
    folder: TempDir,
    pub database: Option<PostgresDatabase>,
}

impl Place {
    /// The folder that a replica runs in. Replicas after the first get their own, with the same keys.
    pub fn folder(&self, replica: usize) -> PathBuf {
        self.folder.path().join(format!("replica{replica}"))
    }

    /// Writes the configuration of a replica, and its folder if it is not there.
    pub fn configure(&self, replica: usize, url: &str, relay: SocketAddr, way: Option<Way>) {
        let folder = self.folder(replica);
        if replica > 0 && !folder.exists() {
            copy_folder(&self.folder(0), &folder);
        }
        let database = match &self.database {
            Some(made) => made.url(way),
            None => "state/embargod.sqlite".to_owned(),
        };
        write_configuration(&folder, url, &database, relay);
    }
}

fn write_configuration(folder: &Path, url: &str, database: &str, relay: SocketAddr) {
    let text = format!(
        "[server]\nurl = \"{url}\"\nlisten = \"127.0.0.1:0\"\n\n[database]\nurl = \"{database}\"\n\n\
         [keys]\nkek_file = \"state/kek\"\n\n[mail]\nfrom = \"embargo@requests.example\"\n\n\
         [mail.relay]\nhost = \"{}\"\nport = {}\ntls = \"none\"\n\n\
         [limits]\nlogins_per_minute = 100000\ncommands_per_minute = 100000\n\n\
         [log]\nfilter = \"info,actix_server=warn,actix_http=off\"\n",
        relay.ip(),
        relay.port()
    );
    std::fs::write(folder.join("embargod.toml"), text).unwrap();
}

impl Template {
    /// Founds an installation, announces an embargo to every packager, and learns what its lift publishes.
    pub async fn found(kind: Kind) -> Self {
        Self::found_for(kind, PACKAGERS, Under::Nothing).await
    }

    /// The same with so many packagers, by a program of this version or an older one.
    pub async fn found_for(kind: Kind, packagers: usize, under: Under) -> Self {
        let people = People::new(packagers);
        let folder = tempfile::tempdir().unwrap();
        let database = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(PostgresDatabase::create(None).await),
        };
        let home = folder.path().join("replica0");
        let armored = |name: &str, certificate: &Certificate| {
            let path = folder.path().join(format!("{name}.asc"));
            std::fs::write(&path, certificate.to_armored()).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let maintainer = armored("maintainer", people.maintainer.certificate());
        let here = home.to_str().unwrap();
        let mut founding = vec!["init", "--directory", here, "--project", "requests", "--preset", "requests"];
        founding.extend(["--maintainer", &maintainer, "--from", "embargo@requests.example"]);
        let url = database.as_ref().map(|database| database.url(None));
        if let Some(url) = &url {
            founding.extend(["--database", url]);
        }
        operate_under(&under, folder.path(), &founding);
        for (slug, address, person) in &people.packagers {
            let file = armored(slug, person.certificate());
            let adding = ["packager", "add", slug, "--contact", address, "--certificate", &file];
            operate_under(&under, &home, &[&adding[..], &["--project", "requests"]].concat());
        }

        let relay = Relay::start(1, true, |_| Act::Go).await;
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        let state = url.as_deref().unwrap_or("state/embargod.sqlite");
        write_configuration(&home, &base, state, relay.door(0));
        let server = Server::start(&home, port, &under, &Target::default()).await.unwrap();
        let client = Client::new(&base);
        let certificate = Certificate::parse(&client.get("/key.asc").await.body).unwrap();
        let maintainer = speaker(&client, &certificate, &people);
        let token = maintainer.token().await;
        let embargo = maintainer.opens(&ordinary_text()).await;
        maintainer.puts_fix(&embargo, "main", &Series::default().mbox()).await;
        let dates: wire::DatesView =
            maintainer.reads(&token, &format!("/api/v1/embargoes/{embargo}/dates")).await;
        let lifts_at = dates.offers.iter().find(|offer| offer.legal).unwrap().lifts_at.to_rfc3339();
        maintainer.does(&Change::schedule(&embargo, &lifts_at, None)).await.accepted();
        maintainer.does(&Change::send(&embargo, None, true)).await.accepted();
        settled(std::slice::from_ref(&maintainer), &token, &embargo, "announcement").await;
        let packager = fetcher(&client, &certificate, &people);
        let packager_token = packager.token().await;
        let receipt_code = relay
            .mails_for(&packager.address)
            .into_iter()
            .filter_map(|bytes| {
                let received = embargod::demo::sink::Received { from: String::new(), to: Vec::new(), bytes };
                packager.opens(&received)
            })
            .find(|mail| mail.text.contains("Receipt code: "))
            .unwrap()
            .receipt_code();
        server.stop().await;
        let mut template = Self {
            folder,
            database,
            people,
            certificate,
            embargo: embargo.parse().unwrap(),
            receipt_code,
            token,
            packager_token,
            public_paths: Vec::new(),
            copying: tokio::sync::Mutex::default(),
        };
        template.public_paths = template.learn_public_paths(&under).await;
        template
    }

    /// A copy of the folder and the database.
    pub async fn copy(&self) -> Place {
        let _one = self.copying.lock().await;
        let database = match &self.database {
            Some(database) => Some(PostgresDatabase::create(Some(database)).await),
            None => None,
        };
        let folder = tempfile::tempdir().unwrap();
        copy_folder(&self.folder.path().join("replica0"), &folder.path().join("replica0"));
        Place { folder, database }
    }

    /// A maintainer who speaks to a server at this address.
    pub fn maintainer(&self, client: &Client) -> Maintainer {
        speaker(client, &self.certificate, &self.people)
    }

    /// The first packager, who fetches from a server at this address.
    pub fn packager(&self, client: &Client) -> Packager {
        fetcher(client, &self.certificate, &self.people)
    }

    async fn learn_public_paths(&self, under: &Under) -> Vec<String> {
        let place = self.copy().await;
        let relay = Relay::start(1, false, |_| Act::Go).await;
        let port = free_port();
        let base = format!("http://127.0.0.1:{port}");
        place.configure(0, &base, relay.door(0), None);
        let server = Server::start(&place.folder(0), port, under, &Target::default()).await.unwrap();
        let client = Client::new(&base);
        let maintainer = self.maintainer(&client);
        let lifted = maintainer.does(&Change::lift_early(self.embargo.as_str(), "it leaked")).await;
        lifted.accepted();
        let waited_since = Since::now();
        while !client.get("/").await.text().contains("/advisories/") {
            assert!(!waited_since.is_too_long(), "it is never lifted");
        }
        let mut paths = Vec::new();
        let mut pages = vec!["/".to_owned()];
        while let Some(page) = pages.pop() {
            let text = client.get(&page).await.text();
            for part in text.split("href=\"").skip(1) {
                let path = part.split('"').next().unwrap().to_owned();
                if path.starts_with("/advisories/") && !paths.contains(&path) {
                    paths.push(path.clone());
                    pages.push(path);
                }
            }
        }
        assert!(paths.len() > 5, "hardly anything is public: {paths:?}");
        server.stop().await;
        paths
    }
}

fn speaker(client: &Client, certificate: &Certificate, people: &People) -> Maintainer {
    let person = people.maintainer.clone();
    Maintainer::new(client.clone(), Clock::System, Entropy::System, certificate.clone(), person)
}

fn fetcher(client: &Client, certificate: &Certificate, people: &People) -> Packager {
    let (slug, address, person) = people.packagers[0].clone();
    Packager::new(client.clone(), Clock::System, certificate.clone(), slug, address, person)
}

/// The last date that is offered and legal.
pub async fn a_legal_date(template: &Template, maintainer: &Maintainer) -> String {
    let path = format!("/api/v1/embargoes/{}/dates", template.embargo);
    let dates: wire::DatesView = read(std::slice::from_ref(maintainer), &template.token, &path).await;
    dates.offers.iter().rfind(|offer| offer.legal).unwrap().lifts_at.to_rfc3339()
}

/// Reads something, from the first of these servers that answers; they may be down for a while.
pub async fn read<T: serde::de::DeserializeOwned>(readers: &[Maintainer], token: &str, path: &str) -> T {
    let since = Since::now();
    loop {
        for reader in readers {
            if let Some(read) = reader.try_reads(token, path).await {
                return read;
            }
        }
        assert!(!since.is_too_long(), "{path} is never answered");
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Waits until there are copies of the notice of this kind and no copy of any notice waits any more; returns all.
pub async fn settled(
    readers: &[Maintainer],
    token: &str,
    embargo: &str,
    last: &str,
) -> Vec<wire::DeliveryView> {
    let path = format!("/api/v1/embargoes/{embargo}/deliveries");
    let since = Since::now();
    loop {
        let view: wire::DeliveriesView = read(readers, token, &path).await;
        let waits = |copy: &&wire::DeliveryView| {
            !matches!(copy.state.as_str(), "accepted" | "superseded" | "failed" | "bounced")
        };
        let waiting: Vec<_> = view.deliveries.iter().filter(waits).collect();
        if view.deliveries.iter().any(|copy| copy.kind == last) && waiting.is_empty() {
            return view.deliveries;
        }
        assert!(!since.is_too_long(), "still waiting: {waiting:#?}");
        tokio::time::sleep(BETWEEN).await;
    }
}
