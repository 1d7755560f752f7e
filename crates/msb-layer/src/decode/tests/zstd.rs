use super::support::{compression, decode, decode_with, frame, sample, skippable};
use crate::decode::{
    Compression, Corruption, DecodeError, Decoder, Limits, Pool, PushError, WindowBudget,
};

fn good(stream: &[u8]) -> Vec<u8> {
    decode(stream).expect("the stream is right")
}

#[test]
fn frames_of_every_size() {
    for len in [0, 1, 999, 1000, 1001, 10_000, 200_000] {
        let plain = sample(len);
        assert!(good(&frame(&plain, 17)) == plain, "{len}");
    }
    assert_eq!(compression(&frame(b"x", 17)), Some(Compression::Zstd));
}

#[test]
fn several_and_skippable_frames_as_zstd_chunked_writes_them() {
    let (a, b) = (sample(5000), sample(3000));
    let stream = [
        skippable(b"in front"),
        frame(&a, 17),
        skippable(b""),
        skippable(&[0x28; 3000]),
        frame(&[], 17),
        frame(&b, 18),
        skippable(b"behind"),
    ];
    assert_eq!(good(&stream.concat()), [a, b].concat());
    assert_eq!(compression(&stream[0]), Some(Compression::Zstd));
}

#[test]
fn a_wrong_checksum_is_an_error() {
    let mut stream = frame(&sample(5000), 17);
    *stream.last_mut().expect("not empty") ^= 1;
    match decode(&stream) {
        Err(DecodeError::Corrupt {
            fault: Corruption::Frame,
            source: Some(source),
            ..
        }) => assert!(source.to_string().contains("checksum"), "{source}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_window_beyond_the_limit_is_refused_by_its_size() {
    // A frame with a window of 2^28 bytes, cut after its header.
    let large = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 18 << 3];
    let window = |stream: &[u8], limit| match decode_with(
        stream,
        Limits {
            zstd_window_bytes: limit,
        },
    ) {
        Err(DecodeError::WindowTooLarge {
            offset,
            required,
            allowed,
        }) => (offset, required, allowed),
        other => panic!("{other:?}"),
    };
    assert_eq!(window(&large, 128 << 20), (0, 256 << 20, 128 << 20));
    let small = frame(b"first", 17);
    let stream = [&small[..], &large].concat();
    assert_eq!(window(&stream, 100 << 20).0, small.len() as u64);
    // Just enough, also where the limit is no power of two.
    let plain = sample(300_000);
    let stream = frame(&plain, 17);
    assert!(
        decode_with(
            &stream,
            Limits {
                zstd_window_bytes: 1 << 17
            }
        )
        .expect("just enough")
            == plain
    );
    assert!(
        decode_with(
            &stream,
            Limits {
                zstd_window_bytes: 140_000
            }
        )
        .expect("enough")
            == plain
    );
    assert_eq!(window(&stream, 130_000), (0, 1 << 17, 130_000));
}

#[test]
fn streams_share_one_budget_for_their_windows() {
    let budget = WindowBudget::new((1 << 18) + (1 << 17));
    let decoder = || {
        Decoder::new(Pool::new(65_536, 2), Limits::default())
            .with_windows(budget.clone(), Default::default())
    };
    let plain = sample(1_200_000);
    let mut out = |_| Ok::<_, ()>(());
    let mut first = decoder();
    for log in [17, 17, 18, 17] {
        first
            .push(&frame(&plain, log), &mut out)
            .expect("within the budget");
    }
    // What the first holds at most, 2^18, leaves room for this one and not for more.
    let mut second = decoder();
    second
        .push(&frame(&plain, 17), &mut out)
        .expect("within the budget");
    let waiting = {
        let (mut third, stream) = (decoder(), frame(&plain, 18));
        std::thread::spawn(move || third.push(&stream, &mut |_| Ok::<_, ()>(())).is_ok())
    };
    drop(first);
    assert!(waiting.join().expect("it does not panic"));

    let refused = second.push(&frame(&plain, 20), &mut out);
    assert!(matches!(
        refused,
        Err(PushError::Decode(DecodeError::WindowTooLarge {
            required: 1_048_576,
            allowed: 393_216,
            ..
        }))
    ));
}

#[test]
fn two_streams_that_need_larger_windows_do_not_wait_for_each_other() {
    let budget = WindowBudget::new(1 << 18);
    let plain = sample(600_000);
    let grow = || {
        let mut decoder = Decoder::new(Pool::new(65_536, 2), Limits::default())
            .with_windows(budget.clone(), Default::default());
        let stream = [frame(&plain, 17), frame(&plain, 18)].concat();
        std::thread::spawn(move || {
            (0..50).all(|_| decoder.push(&stream, &mut |_| Ok::<_, ()>(())).is_ok())
        })
    };
    let both = [grow(), grow()];
    for stream in both {
        assert!(stream.join().expect("it does not panic"));
    }
}

#[test]
fn trailing_zeros_are_accepted_and_other_bytes_are_not() {
    let stream = frame(b"plain", 17);
    assert_eq!(good(&[&stream[..], &[0; 2000]].concat()), b"plain");
    for (tail, at) in [(&b"abcd"[..], 0), (b"\0\0x", 2), (b"\x1f\x8b\x08\0", 0)] {
        match decode(&[&stream[..], tail].concat()) {
            Err(DecodeError::TrailingData { offset, .. }) => {
                assert_eq!(offset, stream.len() as u64 + at)
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn cut_anywhere_is_truncated() {
    let (first, skipped) = (frame(&sample(300), 17), skippable(b"abc"));
    let stream = [&first[..], &skipped, &frame(b"b", 17)].concat();
    for len in 4..stream.len() {
        match decode(&stream[..len]) {
            Ok(plain) => assert!(
                [first.len(), first.len() + skipped.len()].contains(&len) && plain == sample(300)
            ),
            Err(DecodeError::Truncated { offset, .. }) => assert_eq!(offset, len as u64),
            other => panic!("{len}: {other:?}"),
        }
    }
}

#[test]
fn damaged_frames_are_never_other_bytes() {
    let plain = sample(2000);
    let stream = frame(&plain, 17);
    for at in 4..stream.len() {
        let mut damaged = stream.clone();
        damaged[at] ^= 0x55;
        // Damage may do no harm: another window, reserved bits.
        if let Ok(decoded) = decode(&damaged) {
            assert!(decoded == plain, "{at}");
        }
    }
}
