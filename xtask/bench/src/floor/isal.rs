//! ISA-L's inflate, from the shared library where one is installed: the workspace builds without it.
#![expect(
    unsafe_code,
    reason = "a C library's streaming interface; nothing else in the workspace calls C"
)]

use std::fmt;

use libloading::{Library, Symbol};

use super::inflate::{RawInflate, Step};
use crate::BenchError;

/// The library whose `struct inflate_state` is laid out as the offsets below say (version 2 of its binary interface).
const LIBRARY: &str = "libisal.so.2";
/// Room for `struct inflate_state`, 87,368 bytes, with a reserve.
const STATE_WORDS: usize = 16 << 10;
const NEXT_OUT: usize = 0;
const AVAIL_OUT: usize = 8;
const NEXT_IN: usize = 16;
const AVAIL_IN: usize = 32;
/// Bits that were read from the input and not used yet.
const READ_IN_LENGTH: usize = 36;
const BLOCK_STATE: usize = 21_160;
/// `ISAL_BLOCK_FINISH`.
const FINISH: u32 = 5;

type Init = unsafe extern "C" fn(*mut u64);
type Inflate = unsafe extern "C" fn(*mut u64) -> i32;

/// A raw deflate stream through ISA-L.
pub struct Isal {
    /// A `struct inflate_state`, which holds no pointer to itself.
    state: Box<[u64]>,
    init: Init,
    inflate: Inflate,
    /// Keeps the two functions where they are.
    _library: Library,
}

impl Isal {
    /// Loads the library, and proves on a known stream that it is laid out as this file believes.
    ///
    /// # Errors
    /// [`BenchError::Isal`].
    pub fn load() -> Result<Isal, BenchError> {
        // SAFETY: ISA-L's initializers only choose code for this processor.
        let library = unsafe { Library::new(LIBRARY) }.map_err(|source| BenchError::Isal {
            reason: source.to_string(),
        })?;
        let missing = |source: libloading::Error| BenchError::Isal {
            reason: source.to_string(),
        };
        // SAFETY: the types are those of igzip_lib.h, the state behind a pointer.
        let init: Symbol<'_, Init> =
            unsafe { library.get(b"isal_inflate_init\0") }.map_err(missing)?;
        // SAFETY: as above.
        let inflate: Symbol<'_, Inflate> =
            unsafe { library.get(b"isal_inflate\0") }.map_err(missing)?;
        let (init, inflate) = (*init, *inflate);
        let mut isal = Isal {
            state: vec![0; STATE_WORDS].into_boxed_slice(),
            init,
            inflate,
            _library: library,
        };
        isal.reset();
        // A stored block of three bytes.
        let mut plain = [0; 8];
        let stored = [0x01, 0x03, 0x00, 0xfc, 0xff, b'a', b'b', b'c', b'!'];
        let step = isal.step(&stored, &mut plain)?;
        let known = step.consumed - step.ahead == 8
            && step.produced == 3
            && step.done
            && plain[..3] == *b"abc";
        if !known {
            return Err(BenchError::Isal {
                reason: format!("{LIBRARY} has another layout than this program knows"),
            });
        }
        isal.reset();
        Ok(isal)
    }

    fn put<T>(&mut self, offset: usize, value: T) {
        debug_assert!(offset + size_of::<T>() <= self.state.len() * 8);
        // SAFETY: every offset lies within the state and is a multiple of the field's size.
        unsafe {
            self.state
                .as_mut_ptr()
                .byte_add(offset)
                .cast::<T>()
                .write(value)
        }
    }

    fn word(&self, offset: usize) -> u32 {
        debug_assert!(offset + 4 <= self.state.len() * 8);
        // SAFETY: as in `put`; any 4 bytes are a number.
        unsafe { self.state.as_ptr().byte_add(offset).cast::<u32>().read() }
    }
}

impl RawInflate for Isal {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, BenchError> {
        let len_in = u32::try_from(input.len()).unwrap_or(u32::MAX);
        let len_out = u32::try_from(output.len()).unwrap_or(u32::MAX);
        self.put(NEXT_IN, input.as_ptr());
        self.put(AVAIL_IN, len_in);
        self.put(NEXT_OUT, output.as_mut_ptr());
        self.put(AVAIL_OUT, len_out);
        // SAFETY: the state was initialized; the library reads `len_in` bytes of `input` and writes `len_out` of `output` at
        // most, and keeps what it still needs of either in the state.
        let code = unsafe { (self.inflate)(self.state.as_mut_ptr()) };
        if code < 0 {
            return Err(BenchError::Inflate);
        }
        let done = self.word(BLOCK_STATE) == FINISH;
        Ok(Step {
            consumed: (len_in - self.word(AVAIL_IN)) as usize,
            produced: (len_out - self.word(AVAIL_OUT)) as usize,
            ahead: if done {
                (self.word(READ_IN_LENGTH) / 8) as usize
            } else {
                0
            },
            done,
        })
    }

    fn reset(&mut self) {
        // SAFETY: the state is larger than the library's structure and aligned as its pointers are.
        unsafe { (self.init)(self.state.as_mut_ptr()) }
    }
}

impl fmt::Debug for Isal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isal").finish_non_exhaustive()
    }
}
