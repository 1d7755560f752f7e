//! Superblocks and device tables.

use super::*;

fn super_problem(raw: &mut Raw) -> SuperProblem {
    match Image::open(raw.build()) {
        Err(Error::Super { problem }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn invalid_superblocks_are_refused() {
    let sound = || rooted(2, &[DOT, DOT_DOT]);
    assert!(Image::open(sound().build()).is_ok());

    let mut raw = sound();
    raw.sb.magic = 1.into();
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::Magic { actual: 1, .. }
    ));
    let mut raw = sound();
    raw.sb.feature_incompat = 0x8000_0180.into();
    assert_eq!(
        super_problem(&mut raw),
        SuperProblem::Features { bits: 0x8000_0180 }
    );
    let mut raw = sound();
    raw.sb.blkszbits = 9;
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::BlockBits { actual: 9, .. }
    ));
    let mut raw = sound();
    raw.sb.dirblkbits = 1;
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::DirBlockBits { actual: 1 }
    ));
    let mut raw = sound();
    raw.sb.blocks = 4.into();
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::Truncated {
            expected: 16384,
            actual: 12288
        }
    ));
    let mut bytes = sound().build();
    bytes[1500] ^= 1;
    assert!(matches!(
        Image::open(bytes).unwrap_err(),
        Error::Super {
            problem: SuperProblem::Checksum { .. }
        }
    ));
    assert!(matches!(
        Image::open(vec![0; 100]).unwrap_err(),
        Error::Super {
            problem: SuperProblem::TooShort { actual: 100, .. }
        }
    ));
}

#[test]
fn device_tables_that_overlap_or_exceed_the_disk_are_refused() {
    let sound = || rooted(2, &[DOT, DOT_DOT]);
    assert!(matches!(
        super_problem(sound().devices(&[(1, 2)])),
        SuperProblem::DeviceOverlap {
            device_id: 1,
            uniaddr: 2,
            end: 3
        }
    ));
    assert!(matches!(
        super_problem(sound().devices(&[(2, 4), (1, 3), (1, 5)])),
        SuperProblem::DeviceOverlap {
            device_id: 3,
            uniaddr: 5,
            end: 6
        }
    ));
    assert!(matches!(
        super_problem(sound().devices(&[(1, 3)])),
        SuperProblem::DeviceTruncated {
            device_id: 1,
            expected: 4096,
            actual: 0
        }
    ));
    let mut raw = sound();
    raw.devices(&[(1, 3)]).sb.devt_slotoff = 95.into();
    raw.sb.extra_devices = 2.into();
    assert!(matches!(
        super_problem(&mut raw),
        SuperProblem::DeviceTable { .. }
    ));
    let image = sound().devices(&[(1, 3)]).build();
    assert!(matches!(
        Image::open_with_devices(image.clone(), vec![]).unwrap_err(),
        Error::Super {
            problem: SuperProblem::DeviceCount {
                expected: 1,
                actual: 0
            }
        }
    ));
    assert!(matches!(
        Image::open_with_devices(image, vec![vec![0; 4095]]).unwrap_err(),
        Error::Super {
            problem: SuperProblem::DeviceTruncated { actual: 4095, .. }
        }
    ));
}
