use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use erofs_reader::FileType;
use escape_text::escape;
use msb_oci::Reference;
use serde::Serialize;

use crate::{ImageTree, InspectError, PullResult};

/// The user that a container of the image runs as, by the image's own `/etc/passwd` and `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImageUser {
    /// The user.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The groups that list the user as a member, without the primary one, in ascending order; none if the config names a group.
    pub supplementary_gids: Vec<u32>,
    /// The home directory; `/` if the image does not state one.
    pub home: PathBuf,
}

/// Reports why the user of an image cannot be determined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// The image cannot be read.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// The config names a user that is neither in the image's passwd nor a number.
    #[error("{reference}: its user {} is not in /etc/passwd", escape(name))]
    NoUser {
        /// The image.
        reference: Box<Reference>,
        /// The name in the config.
        name: String,
    },
    /// The config names a group that is neither in the image's group file nor a number.
    #[error("{reference}: its group {} is not in /etc/group", escape(name))]
    NoGroup {
        /// The image.
        reference: Box<Reference>,
        /// The name in the config.
        name: String,
    },
    /// The config has a number that no user or group can have.
    #[error("{reference}: {} is not the number of a user or group", escape(text))]
    Number {
        /// The image.
        reference: Box<Reference>,
        /// The number in the config.
        text: String,
    },
    /// The passwd or group file is longer than is read of one.
    #[error("{reference}: {path} has {bytes} bytes; at most {limit} are read")]
    TooLong {
        /// The image.
        reference: Box<Reference>,
        /// The file.
        path: &'static str,
        /// Its length in bytes.
        bytes: u64,
        /// The greatest length in bytes.
        limit: u64,
    },
    /// The user is a member of more groups than the kernel accepts.
    #[error("{reference}: its user is in more than {limit} groups")]
    TooManyGroups {
        /// The image.
        reference: Box<Reference>,
        /// The greatest number of groups.
        limit: usize,
    },
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// The longest passwd or group file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// The greatest number of supplementary groups: `NGROUPS_MAX` of the kernel.
const MAX_GROUPS: usize = 65_536;

/// A user of passwd(5).
struct User {
    name: Vec<u8>,
    uid: u32,
    gid: u32,
    home: Vec<u8>,
}

impl PullResult {
    /// Returns the user that the config names, or root if it names none: `user`, `uid`, `user:group` and each mix of them.
    ///
    /// Numbers need no entry. A first entry with the name or the number counts, as in container runtimes. Symbolic links on the way to
    /// both files are followed inside the image. A missing file has no entries; malformed lines are skipped. Blocks on file I/O.
    ///
    /// # Errors
    /// See [`UserError`].
    pub fn resolve_user(&self) -> Result<ImageUser, UserError> {
        let tree = self.open_tree()?;
        let stated = self.config.user.as_deref().unwrap_or_default();
        let (user, group) = match stated.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (stated, None),
        };
        let resolver = Resolver {
            reference: &self.reference,
            passwd: read(&tree, &self.reference, PASSWD)?,
            group: read(&tree, &self.reference, GROUP)?,
        };
        resolver.resolve(user, group)
    }
}

/// The two files of an image.
struct Resolver<'a> {
    reference: &'a Reference,
    passwd: Vec<u8>,
    group: Vec<u8>,
}

impl Resolver<'_> {
    fn resolve(&self, user: &str, group: Option<&str>) -> Result<ImageUser, UserError> {
        let number = match user {
            "" => Some(0),
            user => self.number(user)?,
        };
        let mut users = self.passwd.split(|byte| *byte == b'\n').filter_map(entry);
        let found = users.find(|entry| entry.name == user.as_bytes() || Some(entry.uid) == number);
        let found = match (found, number) {
            (Some(found), _) => found,
            (None, Some(uid)) => User {
                name: Vec::new(),
                uid,
                gid: 0,
                home: Vec::new(),
            },
            (None, None) => {
                return Err(UserError::NoUser {
                    reference: Box::new(self.reference.clone()),
                    name: user.to_owned(),
                });
            }
        };
        let home = if found.home.is_empty() {
            b"/".to_vec()
        } else {
            found.home
        };
        let (gid, supplementary_gids) = match group {
            Some(group) => (self.named_group(group)?, Vec::new()),
            None => (found.gid, self.groups_of(&found.name, found.gid)?),
        };
        Ok(ImageUser {
            uid: found.uid,
            gid,
            supplementary_gids,
            home: PathBuf::from(OsString::from_vec(home)),
        })
    }

    fn named_group(&self, group: &str) -> Result<u32, UserError> {
        let number = self.number(group)?;
        let found = self
            .groups()
            .find(|(name, gid, _)| *name == group.as_bytes() || Some(*gid) == number);
        let gid = found.map(|(_, gid, _)| gid).or(number);
        gid.ok_or_else(|| UserError::NoGroup {
            reference: Box::new(self.reference.clone()),
            name: group.to_owned(),
        })
    }

    /// Returns the groups that list the user, without `primary`.
    fn groups_of(&self, user: &[u8], primary: u32) -> Result<Vec<u32>, UserError> {
        let mut gids: Vec<u32> = self
            .groups()
            .filter(|(_, gid, members)| {
                let mut members = members.split(|byte| *byte == b',');
                *gid != primary && !user.is_empty() && members.any(|member| member == user)
            })
            .map(|(_, gid, _)| gid)
            .collect();
        gids.sort_unstable();
        gids.dedup();
        if gids.len() > MAX_GROUPS {
            return Err(UserError::TooManyGroups {
                reference: Box::new(self.reference.clone()),
                limit: MAX_GROUPS,
            });
        }
        Ok(gids)
    }

    /// Returns name, number and members of each group of group(5).
    fn groups(&self) -> impl Iterator<Item = (&[u8], u32, &[u8])> {
        self.group.split(|byte| *byte == b'\n').filter_map(|line| {
            let mut fields = line.split(|byte| *byte == b':');
            let name = fields.next().filter(|name| !name.is_empty())?;
            let gid = id(fields.nth(1)?)?;
            Some((name, gid, fields.next().unwrap_or_default()))
        })
    }

    /// Returns the number that a text consists of; `None` for a name.
    fn number(&self, text: &str) -> Result<Option<u32>, UserError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        match id(text.as_bytes()) {
            Some(number) => Ok(Some(number)),
            None => Err(UserError::Number {
                reference: Box::new(self.reference.clone()),
                text: text.to_owned(),
            }),
        }
    }
}

/// Parses a line of passwd(5): `name:password:uid:gid:comment:home:shell`.
fn entry(line: &[u8]) -> Option<User> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next().filter(|name| !name.is_empty())?;
    let uid = id(fields.nth(1)?)?;
    let gid = id(fields.next()?)?;
    let home = fields.nth(1).unwrap_or_default();
    Some(User {
        name: name.to_vec(),
        uid,
        gid,
        // A relative path names nothing before the working directory is known.
        home: if home.starts_with(b"/") && !home.contains(&0) {
            home.to_vec()
        } else {
            Vec::new()
        },
    })
}

/// Parses the number of a user or group. All ones is none: system calls take it as "leave as it is".
fn id(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u32 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number != u32::MAX).then_some(number)
}

/// Reads one of the two files; a missing one has no bytes.
fn read(tree: &ImageTree, reference: &Reference, path: &'static str) -> Result<Vec<u8>, UserError> {
    let inode = match tree.find(path.as_bytes()) {
        Ok(inode) => inode,
        Err(InspectError::NoSuchPath { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    // A hole of a terabyte is as small as an empty file.
    if inode.file_type == FileType::Regular && inode.size > MAX_FILE_BYTES {
        return Err(UserError::TooLong {
            reference: Box::new(reference.clone()),
            path,
            bytes: inode.size,
            limit: MAX_FILE_BYTES,
        });
    }
    let mut bytes = Vec::new();
    tree.copy_file(path.as_bytes(), &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(user: &str, group: Option<&str>) -> Result<ImageUser, UserError> {
        let reference: Reference = "image".parse().unwrap();
        let resolver = Resolver {
            reference: &reference,
            passwd: b"root:x:0:0:root:/root:/bin/sh\n\
                #off:x:1\nbad:x:-1:5::/\n:x:7:7::/nameless\nbig:x:4294967295:1::/\n\
                app:x:1000:1001:App,,:/home/app:/bin/sh\r\n\
                1005:x:77:78::/digits:\nrel:x:60:61::home:\nshort:x:50:51\nno-gid:x:9"
                .to_vec(),
            group:
                b"root:x:0:\nwheel:x:10:root,app\naudio:x:5:app\nown:x:1001:app\nagain:x:10:app\n\
                bad:x:no:app\nlast:x:2000:x,app"
                    .to_vec(),
        };
        resolver.resolve(user, group)
    }

    fn ids(user: &str, group: Option<&str>) -> (u32, u32, Vec<u32>, String) {
        let user = resolve(user, group).unwrap();
        let home = user.home.to_str().unwrap().to_owned();
        (user.uid, user.gid, user.supplementary_gids, home)
    }

    #[test]
    fn names_numbers_and_groups_are_resolved_as_by_a_container_runtime() {
        let app = (1000, 1001, vec![5, 10, 2000], "/home/app".to_owned());
        assert_eq!(ids("app", None), app);
        assert_eq!(ids("1000", None), app);
        assert_eq!(ids("", None), (0, 0, vec![10], "/root".into()));
        assert_eq!(
            ids("app", Some("wheel")),
            (1000, 10, vec![], "/home/app".into())
        );
        assert_eq!(
            ids("app", Some("4000")),
            (1000, 4000, vec![], "/home/app".into())
        );
        assert_eq!(ids("5000", None), (5000, 0, vec![], "/".into()));
        assert_eq!(ids("5000", Some("audio")), (5000, 5, vec![], "/".into()));
        // A name of digits is found before its number is used.
        assert_eq!(ids("1005", None), (77, 78, vec![], "/digits".into()));
        assert_eq!(ids("short", None), (50, 51, vec![], "/".into()));
        assert_eq!(ids("rel", None), (60, 61, vec![], "/".into()));
    }

    #[test]
    fn what_is_neither_an_entry_nor_a_number_is_an_error() {
        for name in ["none", "-1", "+5", "bad", "big", "no-gid", "0x10", "1 "] {
            let error = resolve(name, None).unwrap_err();
            assert!(matches!(error, UserError::NoUser { .. }), "{name}: {error}");
        }
        for number in ["4294967295", "99999999999999999999"] {
            for (user, group) in [(number, None), ("app", Some(number))] {
                let error = resolve(user, group).unwrap_err();
                assert!(matches!(error, UserError::Number { .. }), "{error}");
            }
        }
        let error = resolve("app", Some("x\u{1b}")).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("its group x\\u{1b} is not in /etc/group")
        );
    }

    #[test]
    fn a_user_in_too_many_groups_is_an_error() {
        let reference: Reference = "image".parse().unwrap();
        let lines = (1..=65_537).map(|gid| format!("g:x:{gid}:app\n"));
        let resolver = Resolver {
            reference: &reference,
            passwd: b"app:x:70000:70001".to_vec(),
            group: lines.collect::<String>().into_bytes(),
        };
        let error = resolver.resolve("app", None).unwrap_err();
        assert!(matches!(error, UserError::TooManyGroups { .. }), "{error}");
    }
}
