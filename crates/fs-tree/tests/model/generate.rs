use fs_tree::{Extent, Metadata};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{OwnedChange, OwnedContent, OwnedKind, OwnedNode, Xattrs, metadata};

/// A change before its references to earlier changes are resolved.
#[derive(Clone, Debug)]
struct Draft {
    path: String,
    kind: DraftKind,
    xattrs: Xattrs,
    /// The earlier path to use.
    index: Index,
    /// Whether to use an earlier path at all.
    take_earlier: bool,
}

#[derive(Clone, Debug)]
enum DraftKind {
    Node(OwnedNode),
    HardLink(String),
    Whiteout,
    Opaque,
}

/// Generates stacks of one to four layers over so few names that most changes affect another one.
pub(crate) fn stacks() -> impl Strategy<Value = Vec<Vec<OwnedChange>>> {
    vec(vec(draft(), 1..10), 1..5).prop_map(finish)
}

/// Makes the metadata and contents of entries distinct, and points many hard links and whiteouts at existing paths.
fn finish(drafts: Vec<Vec<Draft>>) -> Vec<Vec<OwnedChange>> {
    let mut leaves = Vec::<String>::new();
    let mut all = Vec::<String>::new();
    let mut n = 0;
    let mut stack = Vec::new();
    for layer in drafts {
        let mut changes = Vec::new();
        for draft in layer {
            n += 1;
            let earlier = |paths: &[String]| {
                (draft.take_earlier && !paths.is_empty()).then(|| draft.index.get(paths).clone())
            };
            let mut path = draft.path;
            let kind = match draft.kind {
                DraftKind::Node(node) => {
                    if !matches!(node, OwnedNode::Directory) {
                        leaves.push(path.clone());
                    }
                    OwnedKind::Node {
                        metadata: distinct(&node, n),
                        xattrs: draft.xattrs,
                        node,
                    }
                }
                DraftKind::HardLink(target) => {
                    leaves.push(path.clone());
                    OwnedKind::HardLink {
                        target: earlier(&leaves[..leaves.len() - 1]).unwrap_or(target),
                    }
                }
                DraftKind::Whiteout => {
                    path = earlier(&all).unwrap_or(path);
                    OwnedKind::Whiteout
                }
                DraftKind::Opaque => OwnedKind::Opaque,
            };
            if !path.is_empty() {
                all.push(path.clone());
            }
            changes.push(OwnedChange { path, kind });
        }
        stack.push(changes);
    }
    stack
}

fn distinct(node: &OwnedNode, n: u32) -> Metadata {
    let mode = match node {
        OwnedNode::Directory => 0o700,
        OwnedNode::Symlink { .. } => 0o777,
        _ => 0o4640,
    };
    metadata(mode, n)
}

fn draft() -> impl Strategy<Value = Draft> {
    let change = prop_oneof![
        8 => (path(leaf_name()), regular()),
        6 => (path(directory_name()), Just(DraftKind::Node(OwnedNode::Directory))),
        1 => (Just(String::new()), Just(DraftKind::Node(OwnedNode::Directory))),
        4 => (path(directory_name()), symlink()),
        1 => (path(leaf_name()), symlink()),
        1 => (path(leaf_name()), special()),
        5 => (path(leaf_name()), path(any_name()).prop_map(DraftKind::HardLink)),
        1 => (path(directory_name()), path(any_name()).prop_map(DraftKind::HardLink)),
        4 => (path(any_name()), Just(DraftKind::Whiteout)),
        3 => (path(directory_name()), Just(DraftKind::Opaque)),
        1 => (Just(String::new()), Just(DraftKind::Opaque)),
    ];
    (change, xattrs(), any::<Index>(), prop::bool::weighted(0.8)).prop_map(
        |((path, kind), xattrs, index, take_earlier)| Draft {
            path,
            kind,
            xattrs,
            index,
            take_earlier,
        },
    )
}

/// Generates paths of one to nine names, mostly one or two.
fn path(last: impl Strategy<Value = &'static str>) -> impl Strategy<Value = String> {
    let parents = prop_oneof![
        16 => vec(directory_name(), 0..=0),
        20 => vec(directory_name(), 1..=1),
        8 => vec(directory_name(), 2..=2),
        4 => vec(directory_name(), 3..=3),
        1 => vec(directory_name(), 4..=8),
    ];
    (parents, last).prop_map(|(mut names, last)| {
        names.push(last);
        names.join("/")
    })
}

/// Generates names that are mostly directories and links, so that most paths lead somewhere.
fn directory_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        12 => Just("a"),
        10 => Just("b"),
        6 => Just("c"),
        1 => Just("f"),
    ]
}

fn leaf_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        9 => Just("f"),
        6 => Just("g"),
        1 => Just("a"),
        1 => Just("b"),
    ]
}

fn any_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![directory_name(), leaf_name()]
}

fn regular() -> impl Strategy<Value = DraftKind> {
    let content = prop_oneof![
        Just((0, OwnedContent::Absent)),
        (1..100u64, 0..5u16).prop_map(|(size, device)| {
            let offset = size * 4096;
            (size, OwnedContent::Contiguous { device, offset })
        }),
        (1..4u64).prop_map(|count| {
            let extent = |i| Extent {
                logical: i * 8192,
                len: 4096,
                device: 1,
                offset: i * 4096 + count,
            };
            (
                count * 8192,
                OwnedContent::Mapped((0..count).map(extent).collect()),
            )
        }),
        (1..50u64).prop_map(|size| (size, OwnedContent::Inline { key: size * 7 })),
    ];
    content.prop_map(|(size, content)| {
        DraftKind::Node(OwnedNode::Regular {
            size,
            crc32c: 17,
            content,
        })
    })
}

fn special() -> impl Strategy<Value = DraftKind> {
    prop_oneof![
        Just(OwnedNode::Fifo),
        (1..5u32, 0..300_000u32).prop_map(|(major, minor)| OwnedNode::CharDevice(major, minor)),
        (1..5u32, 0..9u32).prop_map(|(major, minor)| OwnedNode::BlockDevice(major, minor)),
    ]
    .prop_map(DraftKind::Node)
}

/// Generates relative and absolute targets, with `.` and `..`, to the link itself, to a file, to nothing.
fn symlink() -> impl Strategy<Value = DraftKind> {
    let name = prop_oneof![
        8 => directory_name(),
        3 => Just(".."),
        1 => Just("."),
        1 => Just("nowhere"),
    ];
    let start = prop_oneof![3 => Just(""), 2 => Just("/"), 1 => Just("../")];
    let end = prop_oneof![5 => Just(""), 1 => Just("/")];
    (start, vec(name, 1..4), end).prop_map(|(start, names, end)| {
        let target = format!("{start}{}{end}", names.join("/"));
        DraftKind::Node(OwnedNode::Symlink { target })
    })
}

fn xattrs() -> impl Strategy<Value = Xattrs> {
    let name = prop_oneof![
        Just("user.x".to_owned()),
        Just("user.xy".to_owned()),
        Just("security.capability".to_owned()),
    ];
    prop_oneof![
        3 => Just(Xattrs::new()),
        1 => prop::collection::btree_map(name, vec(any::<u8>(), 0..3), 0..3),
    ]
}
