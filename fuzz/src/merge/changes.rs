//! Makes layers of changes from the bytes of an input.

use fs_tree::Extent;

use super::BLOCK;
use crate::model::{OwnedChange, OwnedContent, OwnedKind, OwnedNode, Xattrs, metadata};
use crate::supply::Supply;

/// Returns layers with so few names that most changes affect another one.
pub(super) fn stack(supply: &mut Supply<'_>) -> Vec<Vec<OwnedChange>> {
    let mut stack = Vec::new();
    let mut number = 0;
    for _ in 0..=supply.below(5) {
        let mut layer = Vec::new();
        for _ in 0..supply.below(13) {
            number += 1;
            layer.push(change(supply, number));
        }
        stack.push(layer);
        if supply.is_empty() {
            break;
        }
    }
    stack
}

pub(super) fn path(supply: &mut Supply<'_>) -> String {
    const NAMES: [&str; 16] = [
        "a", "b", "c", "d", "e", "a", "b", "c", "l", "lib", "usr", "!x", "x y", "\u{e4}", "LONG",
        "f",
    ];
    let depth = [1, 1, 2, 2, 2, 3, 3, 4][supply.below(8)];
    let names: Vec<String> = (0..depth)
        .map(|_| match supply.one_of(&NAMES) {
            "LONG" => "n".repeat(255),
            name => name.to_owned(),
        })
        .collect();
    names.join("/")
}

pub(super) fn change(supply: &mut Supply<'_>, number: u32) -> OwnedChange {
    let what = supply.below(32);
    let mut path = path(supply);
    let kind = match what {
        0..4 => OwnedKind::Whiteout,
        4..6 => OwnedKind::Opaque,
        6..9 => OwnedKind::HardLink {
            target: self::path(supply),
        },
        _ => {
            let node = match what {
                9..14 => OwnedNode::Directory,
                14..18 => OwnedNode::Symlink {
                    target: target(supply),
                },
                18 => OwnedNode::CharDevice(supply.byte().into(), supply.byte().into()),
                19 => OwnedNode::BlockDevice(
                    u32::from(supply.byte()) << 4 & 0xfff,
                    supply.number() as u32 & 0xf_ffff,
                ),
                20 => OwnedNode::Fifo,
                _ => file(supply),
            };
            let mut xattrs = Xattrs::new();
            for _ in 0..supply.below(8).saturating_sub(4) {
                let name = supply.one_of(&[
                    "user.a",
                    "user.bb",
                    "trusted.t",
                    "security.capability",
                    "system.posix_acl_access",
                    "user.long",
                ]);
                let len = if name == "user.long" {
                    300
                } else {
                    supply.below(40)
                };
                let byte = supply.byte();
                xattrs.insert(name.to_owned(), vec![byte; len]);
            }
            if what == 9 && supply.byte() & 7 == 0 {
                path.clear();
            }
            let mode = u16::from(supply.byte()) << 4 & 0o7777;
            OwnedKind::Node {
                metadata: metadata(mode, number),
                xattrs,
                node,
            }
        }
    };
    if matches!(kind, OwnedKind::Opaque) && supply.byte() & 15 == 0 {
        path.clear();
    }
    OwnedChange { path, kind }
}

fn target(supply: &mut Supply<'_>) -> String {
    let path = path(supply);
    match supply.below(8) {
        0 => format!("/{path}"),
        1 => format!("../{path}"),
        2 => format!("./{path}/."),
        3 => "..".to_owned(),
        4 => "/".to_owned(),
        _ => path,
    }
}

/// Returns a file without its bytes, which follow from its size and the seed in its digest.
fn file(supply: &mut Supply<'_>) -> OwnedNode {
    let seed = u32::from(supply.byte());
    let (size, content) = match supply.below(8) {
        0 => (0, OwnedContent::Absent),
        // One hole.
        1 => (1 + supply.number() % (1 << 30), OwnedContent::Absent),
        2 | 3 => (
            1 + u64::from(supply.byte()),
            OwnedContent::Inline { key: 0 },
        ),
        4 => (1 + supply.number() % 5000, OwnedContent::Inline { key: 0 }),
        5 | 6 => (
            1 + supply.number() % 9000,
            OwnedContent::Contiguous {
                device: 0,
                offset: 0,
            },
        ),
        _ => {
            let mut extents = Vec::new();
            let mut at = 0;
            for _ in 0..1 + supply.below(5) {
                at += BLOCK * supply.below(4) as u64;
                let len = BLOCK * (1 + supply.below(2) as u64);
                extents.push(Extent {
                    logical: at,
                    len,
                    device: 0,
                    offset: 0,
                });
                at += len;
            }
            let size = match supply.below(3) {
                0 => at,
                1 => at + BLOCK * (supply.number() % (1 << 12)),
                _ => {
                    // The last piece ends within a block.
                    let cut = supply.below(255) as u64;
                    if let Some(last) = extents.last_mut() {
                        last.len -= cut;
                    }
                    at - cut
                }
            };
            (size, OwnedContent::Mapped(extents))
        }
    };
    OwnedNode::Regular {
        size,
        crc32c: seed,
        content,
    }
}
