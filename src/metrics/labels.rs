//! Every label that a number may carry. All of them are words of the program: none can be made of what is stored.

/// A closed set of words.
pub trait Label: Copy + 'static {
    /// The name of the label.
    const NAME: &'static str;
    /// Every value.
    const ALL: &'static [Self];
    /// The word that is shown.
    fn word(self) -> &'static str;
    /// Its place in [`Label::ALL`].
    fn index(self) -> usize;
}

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident, $label:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl Label for $name {
            const NAME: &'static str = $label;
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            fn index(self) -> usize {
                self as usize
            }
        }
    };
}

labels!(
    /// Why the server is not wholly ready.
    Reason, "reason" {
        /// The key-encryption key is missing or wrong.
        Locked = "vault_locked",
        /// There is no server key.
        NoServerKey = "no_server_key",
        /// A loop of the worker fails or breaks off again and again.
        Worker = "worker",
        /// Every thread that reads OpenPGP hangs.
        Parsers = "parsers",
        /// An operator's hold stands.
        HoldOperator = "hold_operator",
        /// The hold after a restore stands.
        HoldRecovery = "hold_recovery",
        /// What happens cannot be remembered outside the database.
        Anchor = "anchor",
        /// What was public is not in this database.
        Vanished = "vanished",
        /// The clock is in doubt.
        ClockDoubt = "clock_doubt",
        /// The clock jumped forward, and nothing confirms it.
        ClockAhead = "clock_ahead",
        /// The database cannot be reached, or does not answer in time.
        DatabaseAway = "database_away",
        /// The database cannot be written.
        DatabaseReadOnly = "database_read_only",
        /// Hardly any space is left.
        NoSpace = "no_space",
    }
);

labels!(
    /// What the maintainers are alarmed about.
    Alarm, "kind" {
        /// A notice was due, and nothing was frozen or its lead is over.
        NoticeMissed = "notice_missed",
        /// A copy was refused for good, or its attempts are used up.
        CopyFailed = "copy_failed",
        /// A copy is tried for hours.
        CopyWaits = "copy_waits",
        /// A copy could not be made.
        CopyNotMade = "copy_not_made",
        /// A recipient's certificate cannot be used.
        CertificateUnusable = "certificate_unusable",
        /// The server doubts its clock.
        ClockDoubt = "clock_doubt",
        /// A maintainer lifts early.
        LiftEarly = "lift_early",
        /// A format could not be made, and the rest was published.
        FormatLeftOut = "format_left_out",
    }
);

labels!(
    /// What became of handing one copy to the relay.
    Attempt, "outcome" {
        /// The relay took it.
        Accepted = "accepted",
        /// The relay refused it for good.
        Refused = "refused",
        /// The relay refused it for now.
        Deferred = "deferred",
        /// It failed before the final dot.
        NotSent = "not_sent",
        /// The answer after the final dot was lost.
        Uncertain = "uncertain",
        /// It may not leave any more, and did not.
        Withheld = "withheld",
    }
);

labels!(
    /// The relay's answer, by its first digit.
    Reply, "class" {
        /// Taken.
        Taken = "2xx",
        /// Not now.
        NotNow = "4xx",
        /// Never.
        Never = "5xx",
        /// There was no answer.
        None = "none",
    }
);

labels!(
    /// Whom an address of the server is for.
    Surface, "surface" {
        /// Everybody.
        Public = "public",
        /// Programs.
        Api = "api",
        /// People who signed in.
        Pages = "pages",
    }
);

labels!(
    /// The class of an answer's status.
    Status, "status" {
        /// It goes on.
        Informational = "1xx",
        /// Done.
        Success = "2xx",
        /// Elsewhere, or known already.
        Redirection = "3xx",
        /// The caller's fault.
        ClientError = "4xx",
        /// The server's.
        ServerError = "5xx",
    }
);

impl Surface {
    /// The surface that a path lies on.
    pub fn of(path: &str) -> Self {
        if path.starts_with("/api/") {
            Self::Api
        } else if ["/board", "/login", "/logout"].iter().any(|begin| path.starts_with(begin)) {
            Self::Pages
        } else {
            Self::Public
        }
    }
}

impl Status {
    /// The class of a status code.
    pub fn of(code: u16) -> Self {
        match code {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }
}
