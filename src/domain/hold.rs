//! Holds: the server's refusal to lift, to announce and to send. Who placed one and why is not known here.

use super::notice::NoticeKind;

/// Why the server refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HoldKind {
    /// An operator said so.
    Operator,
    /// The database was restored, and may be older than what left the house.
    Recovery,
}

/// What may leave while the holds that stand are as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    /// Lifts, announcements and every mail.
    Open,
    /// Alarms to maintainers, which have no content, and nothing else.
    Alarms,
    /// Nothing.
    Shut,
}

impl HoldKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Operator, Self::Recovery];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Recovery => "recovery",
        }
    }

    /// Reads a stored word. One that only a newer version knows holds as the strictest does.
    pub fn from_stored(word: &str) -> Self {
        match word {
            "operator" => Self::Operator,
            _ => Self::Recovery,
        }
    }

    /// What anybody may be told of it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Operator => "an operator holds lifts and mail",
            Self::Recovery => "the database was restored: lifts and mail are held until an operator looks",
        }
    }

    fn passage(self) -> Passage {
        match self {
            Self::Operator => Passage::Alarms,
            Self::Recovery => Passage::Shut,
        }
    }
}

impl Passage {
    /// What may leave while holds of these kinds stand.
    pub fn under(kinds: impl IntoIterator<Item = HoldKind>) -> Self {
        kinds.into_iter().map(HoldKind::passage).fold(Self::Open, Self::and)
    }

    /// What may leave where both count.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Shut, _) | (_, Self::Shut) => Self::Shut,
            (Self::Alarms, _) | (_, Self::Alarms) => Self::Alarms,
            (Self::Open, Self::Open) => Self::Open,
        }
    }

    /// Whether a copy of a notice of this kind may leave.
    pub fn allows(self, kind: NoticeKind) -> bool {
        match self {
            Self::Open => true,
            Self::Alarms => kind == NoticeKind::Alarm,
            Self::Shut => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_pass_an_operators_hold_and_nothing_passes_one_after_a_restore() {
        let passing = |kinds: &[HoldKind]| {
            let passage = Passage::under(kinds.iter().copied());
            NoticeKind::ALL.iter().filter(|kind| passage.allows(**kind)).count()
        };
        assert_eq!(passing(&[]), NoticeKind::ALL.len());
        assert_eq!(passing(&[HoldKind::Operator, HoldKind::Operator]), 1);
        assert!(Passage::under([HoldKind::Operator]).allows(NoticeKind::Alarm));
        assert_eq!(passing(&[HoldKind::Operator, HoldKind::Recovery]), 0);
    }

    #[test]
    fn a_kind_that_only_a_newer_version_knows_lets_nothing_pass() {
        for kind in [HoldKind::Operator, HoldKind::Recovery] {
            assert_eq!(HoldKind::from_stored(kind.as_str()), kind);
        }
        assert_eq!(Passage::under([HoldKind::from_stored("solar flare")]), Passage::Shut);
    }
}
