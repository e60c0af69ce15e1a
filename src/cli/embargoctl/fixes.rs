//! `fix put`, `fix waive`, `fix remove`.

use std::path::PathBuf;

use super::arguments::Fix;
use super::changes::{path, report};
use super::context::{Context, read_file};
use super::error::CliError;
use super::render;
use super::report::{Report, columns, plain, red};
use crate::client::Command;
use crate::wire::PutFix;

pub(super) fn fix(context: &Context, fix: &Fix) -> Result<Report, CliError> {
    let session = context.session()?;
    let (typed, body) = match fix {
        Fix::Put { id, branch, files } => {
            let mbox = joined(files)?;
            let signature = session.sign(&mbox)?;
            let mbox = base64_simd::STANDARD.encode_to_string(&mbox);
            let put = PutFix { mbox: Some(mbox), signature: Some(signature), ..of_branch(branch) };
            (id, put)
        }
        Fix::Waive { id, branch, reason } => {
            (id, PutFix { waiver: Some(reason.clone()), ..of_branch(branch) })
        }
        Fix::Remove { id, branch } => (id, PutFix { remove: true, ..of_branch(branch) }),
    };
    let id = session.resolve(typed)?;
    let case = session.change(&id, &Command::json("PUT", path(&id, "/fixes"), &body))?;
    let mut report = report(context, &case);
    if let Some(fix) = case.working_set.iter().find(|fix| fix.branch == body.branch) {
        let mut rows = vec![vec![plain("fix"), plain(&fix.branch), plain(render::fix_facts(fix))]];
        rows.extend(fix.remarks.iter().map(|remark| vec![plain(""), red("warn"), plain(remark)]));
        report.text += &columns(&rows, 2, context.paint);
    }
    Ok(report)
}

fn of_branch(branch: &str) -> PutFix {
    PutFix { branch: branch.to_owned(), ..PutFix::default() }
}

fn joined(files: &[PathBuf]) -> Result<Vec<u8>, CliError> {
    let mut mbox: Vec<u8> = Vec::new();
    for file in files {
        // A mail begins on a line of its own.
        if !mbox.is_empty() && !mbox.ends_with(b"\n") {
            mbox.push(b'\n');
        }
        mbox.extend(read_file(file)?);
    }
    Ok(mbox)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_joined_in_the_order_typed_and_each_begins_on_its_own_line() {
        let directory = tempfile::tempdir().unwrap();
        let files = [("b", "From 1\nx"), ("a", "From 2\r\ny\n")].map(|(name, text)| {
            let file = directory.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        });
        assert_eq!(joined(&files).unwrap(), b"From 1\nx\nFrom 2\r\ny\n");
        assert!(matches!(joined(&[directory.path().join("c")]), Err(CliError::Read { .. })));
    }
}
