//! `login` and `logout`.

use serde_json::json;

use super::arguments;
use super::context::{Context, read_file};
use super::error::CliError;
use super::report::Report;
use crate::client::{Choice, ClientError, LoginRequest, Programs, ServerAddress, Transport};
use crate::wire::Apply;

pub(super) fn login(context: &Context, wanted: &arguments::Login) -> Result<Report, CliError> {
    let server: ServerAddress = match wanted.address.as_deref().or(context.global.server.as_deref()) {
        Some(address) => address.parse()?,
        None => context.profile()?.1.server.parse()?,
    };
    let name = context.global.profile.clone().unwrap_or_else(|| server.profile_name());
    let before = context.profiles.read(&name)?.filter(|profile| profile.server == server.as_str());
    let choice = context.choice(before.as_ref().map_or_else(Choice::default, crate::client::Profile::choice));
    let program = Programs::new(context.entropy.clone()).open(&choice)?;
    let certificate = wanted.keys.certificate.as_deref().map(read_file).transpose()?;
    let key = wanted.keys.key.as_deref().or(before.as_ref().map(|profile| profile.fingerprint.as_str()));
    let pinned = before.as_ref().map(|profile| profile.server_fingerprint.as_str());
    let request = LoginRequest {
        server: &server,
        certificate: certificate.as_deref(),
        key,
        expected_server: wanted.keys.server_fingerprint.as_deref().or(pinned),
        choice: &choice,
    };
    let login = request.run(&Transport::new(), program.as_ref())?;
    let mut profile = login.profile;
    profile.project = before.and_then(|before| before.project);
    context.profiles.write(&name, &profile, &context.entropy)?;
    context.profiles.make_default(&name, &context.entropy)?;
    let pin = if login.newly_pinned {
        "  pinned now; compare it with what a maintainer told you"
    } else {
        "  as expected"
    };
    let text = format!(
        "logged in to {server} as {}\nserver key   {}{pin}\nnext         embargoctl list\n",
        profile.fingerprint, profile.server_fingerprint
    );
    let json = json!({
        "profile": name,
        "server": profile.server,
        "fingerprint": profile.fingerprint,
        "server_fingerprint": profile.server_fingerprint,
        "newly_pinned": login.newly_pinned,
    });
    Ok(Report { text, json })
}

pub(super) fn apply(context: &Context, wanted: &arguments::Apply) -> Result<Report, CliError> {
    let server: ServerAddress = wanted.address.parse()?;
    let choice = context.choice(Choice::default());
    let program = Programs::new(context.entropy.clone()).open(&choice)?;
    let certificate = wanted.keys.certificate.as_deref().map(read_file).transpose()?;
    // Who logged in here before knows the server's key.
    let name = context.global.profile.clone().unwrap_or_else(|| server.profile_name());
    let before = context.profiles.read(&name)?.filter(|profile| profile.server == server.as_str());
    let pinned = before.as_ref().map(|profile| profile.server_fingerprint.as_str());
    let request = LoginRequest {
        server: &server,
        certificate: certificate.as_deref(),
        key: wanted.keys.key.as_deref(),
        expected_server: wanted.keys.server_fingerprint.as_deref().or(pinned),
        choice: &choice,
    };
    let application = Apply {
        challenge: String::new(),
        name: wanted.name.clone(),
        contact: wanted.contact.clone(),
        projects: wanted.projects.clone(),
        about: wanted.about.clone(),
    };
    let (next, fingerprint) = request.apply(&Transport::new(), program.as_ref(), application)?;
    let text = format!("applied to {server} with {fingerprint}\nnext         {next}\n");
    Ok(Report { text, json: json!({ "server": server.as_str(), "fingerprint": fingerprint, "next": next }) })
}

pub(super) fn logout(context: &Context) -> Result<Report, CliError> {
    let (name, mut profile) = context.profile()?;
    // A token that has ended already is what was asked for; one that could not be ended is forgotten all the same.
    let ended = match context.session().map(|session| session.end()) {
        Ok(Ok(()) | Err(ClientError::TokenRefused { .. })) => true,
        Ok(Err(_)) => false,
        Err(_) => profile.token.is_none(),
    };
    profile.token = None;
    context.profiles.write(&name, &profile, &context.entropy)?;
    let mut text =
        format!("logged out of {}; its key {} stays pinned\n", profile.server, profile.server_fingerprint);
    if !ended {
        text += "the server could not be asked to end the token: it counts until it expires\n";
    }
    Ok(Report { text, json: json!({ "profile": name, "server": profile.server, "ended": ended }) })
}
