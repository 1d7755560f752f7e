use erofs_format::{BLOCK_SIZE, ChunkFormat, ChunkIndex, DataLayout, HOLE};
use zerocopy::FromBytes;

use crate::{Error, Image, Inode, InodeProblem, ReadAt};

const BLOCK: u64 = BLOCK_SIZE as u64;

/// A stretch of a file's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extent {
    /// Where it begins in the file, in bytes.
    pub logical: u64,
    /// Its length in bytes, at least 1, never past the file's end.
    pub len: u64,
    /// Where the bytes are.
    pub place: Place,
}

/// Where the bytes of an [`Extent`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: they are zeros.
    Hole,
    /// In blocks of a device; the extent, rounded up to blocks, is known to lie on it.
    Device {
        /// 0 is the primary, n the n-th slot of the device table.
        device_id: u16,
        /// In bytes from the start of that device, a multiple of the block size.
        offset: u64,
    },
    /// Behind the inode, within one block.
    Inline {
        /// In bytes from the start of the primary device.
        offset: u64,
    },
}

/// The extents of one file in order, without gaps; see [`Image::extents`].
#[derive(Debug)]
pub struct Extents<'a, D> {
    image: &'a Image<D>,
    inode: Inode,
    /// The next byte of the file that no extent was given for.
    logical: u64,
    /// Chunks from here on are not looked at; at most the file's size.
    stop: u64,
    chunks: Option<Chunks>,
    failed: bool,
}

/// The chunk addresses of one inode, known to lie on the primary device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunks {
    format: ChunkFormat,
    /// Where they begin.
    pub(crate) offset: u64,
    /// Bytes of one.
    unit: u64,
    pub(crate) count: u64,
}

impl Chunks {
    /// Where the addresses end.
    pub(crate) fn end(self) -> u64 {
        self.offset + self.count * self.unit
    }
}

impl<D: ReadAt> Image<D> {
    /// Where the data of an inode are. Neighbouring chunks that are neighbours on the device too are one extent. Inodes
    /// without data, devices among them, have none.
    ///
    /// # Errors
    ///
    /// [`Error::Inode`] for compressed data, or chunk addresses that leave the primary device. The iterator gives errors
    /// for extents that leave their device, and ends after one.
    pub fn extents(&self, inode: &Inode) -> Result<Extents<'_, D>, Error> {
        self.extents_within(inode, 0, inode.size)
    }

    /// The extents that have bytes from `start` to before `stop`; the first may begin earlier.
    pub(crate) fn extents_within(
        &self,
        inode: &Inode,
        start: u64,
        stop: u64,
    ) -> Result<Extents<'_, D>, Error> {
        let mut extents = Extents {
            image: self,
            inode: *inode,
            logical: start,
            stop: stop.min(inode.size),
            chunks: None,
            failed: false,
        };
        if !inode.has_data() {
            extents.stop = 0;
            return Ok(extents);
        }
        match inode.layout {
            DataLayout::Compressed => {
                let feature_incompat = self.superblock().feature_incompat.get();
                return Err(inode.error(InodeProblem::Compressed { feature_incompat }));
            }
            DataLayout::FlatPlain | DataLayout::FlatInline => {}
            DataLayout::ChunkBased => {
                let chunks = self.chunks(inode)?;
                let chunk_bytes = 1 << chunks.format.chunk_bits();
                extents.logical -= extents.logical % chunk_bytes;
                extents.chunks = Some(chunks);
            }
        }
        Ok(extents)
    }

    /// The chunk addresses of a chunk-based inode (kernel: `erofs_map_blocks`).
    pub(crate) fn chunks(&self, inode: &Inode) -> Result<Chunks, Error> {
        let format = inode.chunk_format()?;
        let unit = if format.has_indexes() { 8 } else { 4 };
        let count = inode.size.div_ceil(1 << format.chunk_bits());
        let offset = inode.body_end().next_multiple_of(unit);
        if count > self.primary_bytes.saturating_sub(offset) / unit {
            return Err(inode.error(InodeProblem::ChunkTable {
                count,
                primary_bytes: self.primary_bytes,
            }));
        }
        Ok(Chunks {
            format,
            offset,
            unit,
            count,
        })
    }

    /// The place of `len` bytes at a block of a device, which is known to have them all.
    ///
    /// An address of device 0 behind the primary's end means the device that lies there on the flat disk, whether or not
    /// the devices were given one by one (kernel: `erofs_map_dev`).
    fn place(
        &self,
        inode: &Inode,
        extent: (u64, u64),
        device_id: u16,
        block: u32,
    ) -> Result<Place, Error> {
        let (logical, len) = extent;
        let offset = u64::from(block) * BLOCK;
        let needed = len.next_multiple_of(BLOCK);
        let (device_id, offset, device_bytes) = match usize::from(device_id).checked_sub(1) {
            Some(index) => match self.devices.get(index) {
                Some(device) => (device_id, offset, device.bytes()),
                None => {
                    return Err(inode.error(InodeProblem::NoSuchDevice {
                        logical,
                        device_id,
                        devices: self.devices.len(),
                    }));
                }
            },
            None if offset < self.primary_bytes => (0, offset, self.primary_bytes),
            None => (1u16..)
                .zip(&self.devices)
                .filter(|(_, device)| device.uniaddr != 0 && device.flat_offset() <= offset)
                .map(|(id, device)| (id, offset - device.flat_offset(), device.bytes()))
                .find(|(_, offset, bytes)| offset < bytes)
                .unwrap_or((0, offset, self.primary_bytes)),
        };
        if device_bytes
            .checked_sub(offset)
            .is_none_or(|room| room < needed)
        {
            return Err(inode.error(InodeProblem::Extent {
                device_id,
                offset,
                len,
                device_bytes,
            }));
        }
        Ok(Place::Device { device_id, offset })
    }
}

impl<D: ReadAt> Extents<'_, D> {
    /// The extent of consecutive blocks, or the inline tail, at `logical` (kernel: `erofs_map_blocks_flatmode`).
    fn flat(&self) -> Result<Extent, Error> {
        let inode = &self.inode;
        let tail_start = match inode.layout {
            DataLayout::FlatInline => (inode.size - 1) / BLOCK * BLOCK,
            _ => inode.size,
        };
        if self.logical < tail_start {
            if inode.i_u == HOLE {
                return Err(inode.error(InodeProblem::NoStartBlock { size: inode.size }));
            }
            return Ok(Extent {
                logical: 0,
                len: tail_start,
                place: self.image.place(inode, (0, tail_start), 0, inode.i_u)?,
            });
        }
        let (offset, len) = (inode.body_end(), inode.size - tail_start);
        if offset % BLOCK + len > BLOCK || offset + len > self.image.primary_bytes {
            return Err(inode.error(InodeProblem::InlineTail { offset, len }));
        }
        Ok(Extent {
            logical: tail_start,
            len,
            place: Place::Inline { offset },
        })
    }

    /// The chunk at `logical`, which is a multiple of the chunk size.
    fn chunk(&self, chunks: Chunks, logical: u64) -> Result<Extent, Error> {
        let chunk_bytes = 1 << chunks.format.chunk_bits();
        let mut bytes = [0; size_of::<ChunkIndex>()];
        let at = chunks.offset + logical / chunk_bytes * chunks.unit;
        let (device_id, block) = if chunks.format.has_indexes() {
            self.read_address(&mut bytes, at)?;
            let index =
                ChunkIndex::read_from_bytes(&bytes).expect("the buffer has an index's size");
            (index.device_id.get(), index.startblk_lo.get())
        } else {
            self.read_address(&mut bytes[..4], at)?;
            let [a, b, c, d, ..] = bytes;
            (0, u32::from_le_bytes([a, b, c, d]))
        };
        let len = chunk_bytes.min(self.inode.size - logical);
        let place = if block == HOLE {
            Place::Hole
        } else {
            self.image
                .place(&self.inode, (logical, len), device_id, block)?
        };
        Ok(Extent {
            logical,
            len,
            place,
        })
    }

    fn read_address(&self, buf: &mut [u8], at: u64) -> Result<(), Error> {
        self.image.read_meta(buf, at).unwrap_or_else(|| {
            Err(self.inode.error(InodeProblem::ChunkTable {
                count: self.chunks.map_or(0, |chunks| chunks.count),
                primary_bytes: self.image.primary_bytes,
            }))
        })
    }

    fn chunk_run(&self, chunks: Chunks) -> Result<Extent, Error> {
        let mut run = self.chunk(chunks, self.logical)?;
        while run.logical + run.len < self.stop {
            // An error of the next chunk is given when it is its turn.
            let Ok(next) = self.chunk(chunks, run.logical + run.len) else {
                break;
            };
            if !follows(&run, &next) {
                break;
            }
            run.len += next.len;
        }
        Ok(run)
    }
}

impl<D: ReadAt> Iterator for Extents<'_, D> {
    type Item = Result<Extent, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.logical >= self.stop {
            return None;
        }
        let extent = match self.chunks {
            Some(chunks) => self.chunk_run(chunks),
            None => self.flat(),
        };
        match &extent {
            Ok(extent) => self.logical = extent.logical + extent.len,
            Err(_) => self.failed = true,
        }
        Some(extent)
    }
}

/// Whether `next` goes on where `run` ends.
fn follows(run: &Extent, next: &Extent) -> bool {
    match (run.place, next.place) {
        (Place::Hole, Place::Hole) => true,
        (
            Place::Device { device_id, offset },
            Place::Device {
                device_id: next_id,
                offset: next_offset,
            },
        ) => device_id == next_id && offset + run.len == next_offset,
        _ => false,
    }
}
