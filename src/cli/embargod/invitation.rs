//! What to write to a packager whose certificate is still missing.

use std::fmt::Write as _;

use super::console::Console;
use super::failure::Failure;
use super::packager::AddArguments;
use crate::app::Refusal;
use crate::app::roster::check_slug;
use crate::domain::address::Address;
use crate::openpgp::Certificate;

/// A letter that asks for a certificate.
pub(super) struct Invitation {
    contact: Address,
    slug: String,
    /// The projects' names and short names.
    projects: Vec<(String, String)>,
    url: String,
    from: String,
    server: Option<String>,
}

impl Invitation {
    /// Looks up what the letter says; refused if the short name, a project or the address is wrong.
    pub(super) fn new(console: &Console, arguments: &AddArguments) -> Result<Self, Failure> {
        check_slug(&arguments.slug)?;
        let contact = arguments
            .contact
            .parse()
            .map_err(|error| Failure::unfit(format!("--contact: {error}"), "write the bare address"))?;
        let (known, server) =
            console.store.read_now(|tx| Ok::<_, Refusal>((tx.projects()?, tx.server_certificate()?)))?;
        let mut projects = Vec::new();
        for slug in &arguments.projects {
            let project = known.iter().find(|project| project.slug == *slug).ok_or_else(|| {
                let known: Vec<_> = known.iter().map(|project| project.slug.as_str()).collect();
                Failure::unfit(
                    format!("there is no project {slug:?}; there are: {}", known.join(", ")),
                    "correct --project, or add it: embargod project add --help",
                )
            })?;
            projects.push((project.name.clone(), slug.clone()));
        }
        let server = server
            .and_then(|bytes| Certificate::parse(&bytes).ok())
            .map(|certificate| certificate.fingerprint());
        Ok(Self {
            contact,
            slug: arguments.slug.clone(),
            projects,
            url: console.config.server.url.clone(),
            from: console.config.mail.from.clone(),
            server,
        })
    }

    /// The letter, and what to type when the answer is there.
    pub(super) fn text(&self) -> String {
        let Self { contact, slug, url, from, .. } = self;
        let names: Vec<_> = self.projects.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(", ");
        let mut text = format!(
            "No certificate yet: nothing was added. Send this to {contact}, then run the last line.\n\n\
             ------------------------------------------------------------------------\n\
             To: {contact}\n\
             Subject: Your OpenPGP certificate for security notices of {names}\n\n\
             We would like to tell you about security fixes of {names} before they\n\
             are published, with the patches. Notices are encrypted, so we need the OpenPGP\n\
             certificate (public key) of this address. Please send what one of these prints:\n\n  \
             gpg --armor --export {contact}\n  \
             sq cert export --cert-email {contact}\n\n\
             What it needs: a key of version 4 with a subkey for encryption, neither expired nor\n\
             revoked, whose signatures are not made with SHA-1. If there is none yet:\n\n  \
             gpg --quick-gen-key {contact} future-default default 2y\n\n\
             Please never send a secret key. If several people read your mail, a key that all of\n\
             them hold is right; each of them can also be added with a key of their own.\n\n\
             Where it is used: mails from {from} are encrypted to it, and with it you log in at\n\
             {url} to fetch patches and to answer. It is shown to nobody else.\n"
        );
        if let Some(server) = &self.server {
            let _ =
                write!(text, "\nOur own key, with which every notice is signed: {url}/key.asc\n  {server}\n");
        }
        let slugs: Vec<_> = self.projects.iter().map(|(_, slug)| slug.as_str()).collect();
        let projects = slugs.join(" --project ");
        let _ = write!(
            text,
            "------------------------------------------------------------------------\n\n  \
             embargod packager add {slug} --contact {contact} --certificate {slug}.asc --project {projects}\n"
        );
        text
    }
}
