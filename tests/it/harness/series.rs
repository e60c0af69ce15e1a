//! Patch series as `git format-patch --stdout` writes them.

/// What goes into a series of one patch.
#[derive(Clone, Debug)]
pub struct Series {
    pub author: String,
    pub subject: String,
    pub message: String,
    pub file: String,
    /// The line that replaces another.
    pub line: String,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            author: "R. Fixer <fixer@requests.example>".to_owned(),
            subject: "sessions: keep credentials on their own host".to_owned(),
            message: "A redirect carried them along.".to_owned(),
            file: "src/requests/sessions.py".to_owned(),
            line: "    return same_host(old, new)".to_owned(),
        }
    }
}

impl Series {
    /// The default series with another line in it.
    pub fn with_line(line: &str) -> Self {
        Self { line: line.to_owned(), ..Self::default() }
    }

    /// Its bytes.
    pub fn mbox(&self) -> Vec<u8> {
        let Self { author, subject, message, file, line } = self;
        format!(
            "From 3f786850e387550fdab836ed7e6dc881de23001b Mon Sep 17 00:00:00 2001\n\
             From: {author}\n\
             Date: Mon, 1 Jun 2026 08:00:00 +0000\n\
             Subject: [PATCH] {subject}\n\
             \n\
             {message}\n\
             ---\n \
             {file} | 2 +-\n \
             1 file changed, 1 insertion(+), 1 deletion(-)\n\
             \n\
             diff --git a/{file} b/{file}\n\
             index ac9837c..54646d6 100644\n\
             --- a/{file}\n\
             +++ b/{file}\n\
             @@ -10,3 +10,3 @@ def should_strip_auth(old, new):\n \
             \x20   old, new = parse(old), parse(new)\n\
             -    return True\n\
             +{line}\n \
             \n\
             -- \n\
             2.47.3\n\
             \n"
        )
        .into_bytes()
    }
}
