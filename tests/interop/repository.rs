//! A project's private clone and a packager's public one, with git as it is installed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Two clones of one small project.
pub struct Repository {
    folder: TempDir,
}

impl Repository {
    /// A project with a few files, cloned once.
    pub fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(repository.upstream()).unwrap();
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        for (name, content) in [
            ("numbers.txt", (1..=40).flat_map(|number| format!("line {number}\n").into_bytes()).collect()),
            ("crlf.txt", b"one\r\ntwo\r\nthree\r\n".to_vec()),
            ("latin1.txt", b"caf\xe9\nna\xefve\nplain\n".to_vec()),
            ("open-end.txt", b"a\nb\nno newline".to_vec()),
            ("blank.txt", b"\n\n\nmiddle\n\n\n\n".to_vec()),
            ("logo.bin", (0..=255).cycle().take(2_000).collect()),
            ("run.sh", b"#!/bin/sh\nexit 0\n".to_vec()),
            ("docs/guide with spaces.txt", "gr\u{fc}n\n".as_bytes().to_vec()),
        ] {
            repository.write(name, &content);
        }
        repository.commit("widgets");
        Self::git_in(repository.folder.path(), &["clone", "--quiet", "upstream", "packaged"]);
        repository
    }

    fn upstream(&self) -> PathBuf {
        self.folder.path().join("upstream")
    }

    fn packaged(&self) -> PathBuf {
        self.folder.path().join("packaged")
    }

    /// Writes a file of the project.
    pub fn write(&self, name: &str, content: &[u8]) {
        let path = self.upstream().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Lets a file of the project be run.
    pub fn make_executable(&self, name: &str) {
        std::fs::set_permissions(self.upstream().join(name), PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Makes a symbolic link in the project.
    pub fn link(&self, target: &str, name: &str) {
        std::os::unix::fs::symlink(target, self.upstream().join(name)).unwrap();
    }

    /// The content of a file of the project.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.upstream().join(name)).unwrap()
    }

    /// Replaces one piece of a file by another.
    pub fn replace(&self, name: &str, old: &[u8], new: &[u8]) {
        let content = self.read(name);
        let at = content.windows(old.len()).position(|window| window == old).unwrap();
        self.write(name, &[&content[..at], new, &content[at + old.len()..]].concat());
    }

    /// Commits everything.
    pub fn commit(&self, message: &str) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
    }

    /// Runs git in the project; returns what it printed.
    pub fn git(&self, arguments: &[&str]) -> Vec<u8> {
        Self::git_in(&self.upstream(), arguments)
    }

    fn command(directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .current_dir(directory)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .envs([
                ("GIT_AUTHOR_NAME", "R\u{f3}is\u{ed}n Roe"),
                ("GIT_AUTHOR_EMAIL", "roe@widgetlib.example"),
                ("GIT_COMMITTER_NAME", "Mika"),
                ("GIT_COMMITTER_EMAIL", "mika@widgetlib.example"),
            ]);
        command
    }

    fn git_in(directory: &Path, arguments: &[&str]) -> Vec<u8> {
        let output = Self::command(directory, arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// What `git format-patch --stdout` prints for all commits after the first.
    pub fn series(&self, more: &[&str]) -> Vec<u8> {
        let base = self.git(&["rev-list", "--max-parents=0", "HEAD"]);
        let base = String::from_utf8(base).unwrap().trim().to_owned();
        let based = format!("--base={base}");
        let range = format!("{base}..");
        self.git(&[&["format-patch", "--stdout", based.as_str()], more, &[range.as_str()]].concat())
    }

    /// What `git diff` prints for all that changed since the first commit.
    pub fn diff(&self, more: &[&str]) -> Vec<u8> {
        let base = self.git(&["rev-list", "--max-parents=0", "HEAD"]);
        let base = String::from_utf8(base).unwrap().trim().to_owned();
        self.git(&[&["diff"], more, &[base.as_str(), "HEAD"]].concat())
    }

    /// Applies a fix in the packager's clone with these words of git; fails if the trees then differ.
    pub fn packager_applies(&self, how: &[&str], fix: &[u8]) {
        let file = self.folder.path().join("fetched.mbox");
        std::fs::write(&file, fix).unwrap();
        let packaged = self.packaged();
        Self::git_in(&packaged, &[how, &[file.to_str().unwrap()]].concat());
        Self::git_in(&packaged, &["add", "--all"]);
        let tree = Self::git_in(&packaged, &["write-tree"]);
        let wanted = self.git(&["rev-parse", "HEAD^{tree}"]);
        assert_eq!(tree, wanted, "the packager has another tree after git {how:?}");
    }

    /// What `git patch-id --stable` says of a fix, in its order.
    pub fn patch_ids(&self, fix: &[u8]) -> Vec<String> {
        let mut child = Self::command(&self.upstream(), &["patch-id", "--stable"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = fix.to_vec();
        let writer = std::thread::spawn(move || std::io::Write::write_all(&mut input, &bytes));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}
