//! What a relay, or someone on the path to it, sees before its certificate is verified: nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::Outcome;
use super::smtp::{Relay, RelayError};
use crate::config::relay::{RelayConfig, RelayTls};
use crate::domain::address::Address;

/// A self-signed certificate and its key.
struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

fn identity(name: &str, last_year: i32) -> Identity {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    parameters.not_before = date_time_ymd(2019, 1, 1);
    parameters.not_after = date_time_ymd(last_year, 1, 1);
    Identity { certificate: parameters.self_signed(&key).unwrap(), key }
}

/// A relay for one connection. It ends with every line it was sent, those inside TLS marked by `TLS `.
struct TlsRelay {
    port: u16,
    seen: JoinHandle<Vec<String>>,
}

/// Starts a relay; with `starttls`, `injected` follows its answer to STARTTLS in clear.
fn relay(identity: &Identity, starttls: bool, injected: &'static str) -> TlsRelay {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.certificate.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let (mut stream, _) = listener.accept().unwrap();
        if starttls && !greet_in_clear(&mut stream, injected, &mut seen) {
            return seen;
        }
        let tls = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream);
        converse(tls, !starttls, &mut seen);
        seen
    });
    TlsRelay { port, seen }
}

/// The part before TLS; says whether STARTTLS was asked for.
fn greet_in_clear(stream: &mut TcpStream, injected: &str, seen: &mut Vec<String>) -> bool {
    let _ = stream.write_all(b"220 relay.example ESMTP\r\n");
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        seen.push(line.clone());
        let answer = if line == "STARTTLS" {
            format!("220 go\r\n{injected}")
        } else {
            "250-relay\r\n250 STARTTLS\r\n".into()
        };
        let _ = stream.write_all(answer.as_bytes());
        if line == "STARTTLS" {
            return true;
        }
    }
    false
}

/// The part within TLS, to its end by either side.
fn converse(tls: impl Read + Write, greet: bool, seen: &mut Vec<String>) {
    let mut stream = BufReader::new(tls);
    if greet && stream.get_mut().write_all(b"220 relay.example ESMTP\r\n").is_err() {
        return;
    }
    let mut in_mail = false;
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|count| count > 0) {
        let text = std::mem::take(&mut line).trim_end().to_owned();
        in_mail = in_mail && text != ".";
        let answer = match text.split(' ').next() {
            _ if in_mail => "",
            Some("EHLO") => "250-relay\r\n250-SIZE 0\r\n250 AUTH LOGIN PLAIN\r\n",
            Some("AUTH") => "235 welcome\r\n",
            Some("DATA") => "354 go on\r\n",
            _ => "250 ok\r\n",
        };
        in_mail = in_mail || text == "DATA";
        seen.push(format!("TLS {text}"));
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn config(relay: &TlsRelay, tls: RelayTls, trusted: &Identity, folder: &Path) -> RelayConfig {
    let (ca_file, password_file) = (folder.join("ca.pem"), folder.join("password"));
    std::fs::write(&ca_file, trusted.certificate.pem()).unwrap();
    std::fs::write(&password_file, "hunter2\n").unwrap();
    RelayConfig {
        host: "127.0.0.1".into(),
        port: relay.port,
        tls,
        user: Some("desk".into()),
        password_file: Some(password_file),
        ca_file: Some(ca_file),
        ..RelayConfig::default()
    }
}

#[tokio::test]
async fn login_and_mail_happen_inside_tls_only() {
    let good = identity("127.0.0.1", 2099);
    let folder = tempfile::tempdir().unwrap();
    for tls in [RelayTls::Starttls, RelayTls::Implicit] {
        let server = relay(&good, tls == RelayTls::Starttls, "");
        let mut connection =
            Relay::new(&config(&server, tls, &good, folder.path())).unwrap().connect().await.unwrap();
        assert_eq!(connection.size_limit(), None);
        let desk: Address = "desk@embargo.example".parse().unwrap();
        let outcome = connection.send(&desk, &desk, b"a\r\n.\r\n").await;
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
        connection.quit().await;
        let seen = server.seen.join().unwrap();
        let in_clear: Vec<_> = seen.iter().filter(|line| !line.starts_with("TLS ")).collect();
        let expected: &[&str] =
            if tls == RelayTls::Starttls { &["EHLO [127.0.0.1]", "STARTTLS"] } else { &[] };
        assert_eq!(in_clear, expected);
        // NUL desk NUL hunter2, as AUTH PLAIN writes it.
        assert!(seen.iter().any(|line| line == "TLS AUTH PLAIN AGRlc2sAaHVudGVyMg=="), "{seen:?}");
        assert!(seen.iter().any(|line| line == "TLS MAIL FROM:<desk@embargo.example>"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_relay_with_the_wrong_certificate_sees_neither_password_nor_mail() {
    let trusted = identity("127.0.0.1", 2099);
    let (stranger, misnamed, expired) =
        (identity("127.0.0.1", 2099), identity("other.example", 2099), identity("127.0.0.1", 2020));
    let folder = tempfile::tempdir().unwrap();
    for (shown, believed) in [(&stranger, &trusted), (&misnamed, &misnamed), (&expired, &expired)] {
        for tls in [RelayTls::Starttls, RelayTls::Implicit] {
            let server = relay(shown, tls == RelayTls::Starttls, "");
            let result = Relay::new(&config(&server, tls, believed, folder.path())).unwrap().connect().await;
            let error = result.err().unwrap();
            assert!(matches!(error, RelayError::Broken { .. }), "{error:?}");
            assert!(error.to_string().contains("relay.host must be a name in its certificate"), "{error}");
            let seen = server.seen.join().unwrap();
            assert!(seen.iter().all(|line| line == "STARTTLS" || line.starts_with("EHLO")), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_slipped_in_before_tls_is_not_taken_for_one_given_within_it() {
    let good = identity("127.0.0.1", 2099);
    let folder = tempfile::tempdir().unwrap();
    let server = relay(&good, true, "250-relay\r\n250 AUTH PLAIN\r\n250 injected\r\n");
    let result =
        Relay::new(&config(&server, RelayTls::Starttls, &good, folder.path())).unwrap().connect().await;
    assert!(matches!(result, Err(RelayError::Broken { stage: "STARTTLS", .. })), "{:?}", result.err());
    let seen = server.seen.join().unwrap();
    assert!(!seen.iter().any(|line| line.contains("AUTH") || line.contains("MAIL")), "{seen:?}");
}

#[test]
fn a_file_of_trusted_certificates_that_is_missing_is_named() {
    let config = RelayConfig {
        host: "relay.example".into(),
        ca_file: Some("/nowhere/ca.pem".into()),
        ..RelayConfig::default()
    };
    let error = Relay::new(&config).err().unwrap();
    assert!(error.to_string().starts_with("relay.ca_file /nowhere/ca.pem cannot be read"), "{error}");
}

#[tokio::test]
async fn a_relay_whose_greeting_never_ends_is_left_before_it_fills_the_memory() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let said = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut said = 0_usize;
        while stream.write_all(&[b'2'; 4096]).is_ok() {
            said += 4096;
        }
        said
    });
    let config = RelayConfig {
        host: "127.0.0.1".to_owned(),
        port,
        tls: RelayTls::None,
        timeout_seconds: 600,
        ..RelayConfig::default()
    };
    assert!(Relay::new(&config).unwrap().connect().await.is_err());
    // What the sockets hold on their way comes on top.
    assert!(said.join().unwrap() < 64 << 20);
}
