//! Names of branches. They go into mails, files and addresses of what is public later, so one rule holds for a
//! project's supported branches and for fixes alike. Knows nothing of repositories: whether a branch exists
//! is not asked.

/// Why a text is no branch's name. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a branch's name has 1 to 100 of the characters A-Z a-z 0-9 . _ - / + and no two dots in a row")]
pub struct InvalidBranch;

/// Checks that `name` can be a branch's name here.
pub fn check_branch(name: &str) -> Result<(), InvalidBranch> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/+".contains(&byte);
    let right = (1..=100).contains(&name.len()) && name.bytes().all(allowed) && !name.contains("..");
    if right { Ok(()) } else { Err(InvalidBranch) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_leave_its_folder_or_its_line_is_none() {
        for bad in ["", "../../etc", "a b", "a\nb", "a\\b", "ä", "a..b", &"a".repeat(101)] {
            assert_eq!(check_branch(bad), Err(InvalidBranch), "{bad:?}");
        }
        for good in ["main", "2.x", "release/1.0+security", &"a".repeat(100)] {
            assert_eq!(check_branch(good), Ok(()), "{good:?}");
        }
    }
}
