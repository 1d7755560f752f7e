use std::io::{Seek, Write};

use erofs_format::{BLOCK_SIZE, Crc32c, Feature, KernelVersion, MAX_EXTRA_DEVICES};
use fs_tree::Tree;

use crate::chunks::Bounds;
use crate::output::Output;
use crate::plan::Plan;
use crate::{Error, ExtentWriter, InlineData, OpenExtent, Options, emit};

/// Writes one image: file data first, then the metadata.
///
/// The data of a file is one or more *extents*. [`begin`](Self::begin) opens an extent, [`ExtentWriter`] appends to it and
/// ends it. The offsets and checksums of the extents go into the tree that [`finish`](Self::finish) takes.
///
/// ```
/// use std::io::Cursor;
/// use erofs_writer::{ImageWriter, NoInline, Options, Tree};
///
/// let mut image = ImageWriter::new(Cursor::new(Vec::new()), Options::default())?;
/// let mut extent = image.begin()?;
/// extent.write(b"hello")?;
/// let stored = extent.end()?;
/// assert_eq!((stored.offset, stored.len), (4096, 5));
/// image.finish(&Tree::new(), &mut NoInline)?;
/// # Ok::<(), erofs_writer::Error>(())
/// ```
///
/// An image cannot be finished while an extent is being written:
///
/// ```compile_fail,E0505
/// # use erofs_writer::{ImageWriter, NoInline, Options, Tree};
/// # let mut image = ImageWriter::new(std::io::Cursor::new(Vec::new()), Options::default())?;
/// let mut extent = image.begin()?;
/// image.finish(&Tree::new(), &mut NoInline)?;
/// extent.write(b"late")?;
/// # Ok::<(), erofs_writer::Error>(())
/// ```
#[derive(Debug)]
pub struct ImageWriter<W> {
    output: Output<W>,
    options: Options,
    /// Where the extent begins that was begun last and has not ended.
    open: Option<u64>,
}

/// An image that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its length in blocks of 4096 bytes.
    pub blocks: u32,
    /// Its inodes.
    pub inodes: u64,
    /// The sum of all of its bytes.
    pub crc32c: Crc32c,
    /// The oldest kernel that reads it: what it needs, not what was declared.
    pub minimum_kernel: KernelVersion,
}

impl Written {
    /// The image's length in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * u64::from(BLOCK_SIZE)
    }
}

impl<W: Write + Seek> ImageWriter<W> {
    /// Begins an image at the start of `output`, which is empty.
    ///
    /// # Errors
    /// [`Error::TooManyDevices`], [`Error::DeviceTag`], [`Error::Kernel`], [`Error::Write`].
    pub fn new(output: W, options: Options) -> Result<Self, Error> {
        if options.devices.len() > MAX_EXTRA_DEVICES {
            return Err(Error::TooManyDevices {
                count: options.devices.len(),
                limit: MAX_EXTRA_DEVICES,
            });
        }
        for (device, device_id) in options.devices.iter().zip(1..) {
            if !(1..=64).contains(&device.tag.len()) {
                return Err(Error::DeviceTag {
                    device_id,
                    len: device.tag.len(),
                });
            }
        }
        let feature = Feature::DeviceTable;
        if !options.devices.is_empty() && feature.minimum_kernel() > options.minimum_kernel {
            return Err(Error::Kernel {
                feature,
                needed: feature.minimum_kernel(),
                declared: options.minimum_kernel,
            });
        }
        Ok(Self {
            output: Output::new(output, emit::head_bytes(options.devices.len()))?,
            options,
            open: None,
        })
    }

    /// Returns the length of the image so far, in bytes.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.output.position()
    }

    /// Begins an extent at the next block boundary.
    ///
    /// An extent that was begun before and has not ended is abandoned: its bytes stay in the image.
    ///
    /// # Errors
    ///
    /// [`Error::Write`], [`Error::ImageTooLarge`].
    pub fn begin(&mut self) -> Result<ExtentWriter<'_, W>, Error> {
        ExtentWriter::begin(&mut self.output, &mut self.open)
    }

    /// Continues an extent that [`ExtentWriter::detach`] left open.
    ///
    /// # Errors
    ///
    /// [`Error::ExtentNotOpen`] if the extent has ended, or another one was begun after it.
    pub fn attach(&mut self, extent: OpenExtent) -> Result<ExtentWriter<'_, W>, Error> {
        ExtentWriter::attach(&mut self.output, &mut self.open, extent)
    }

    /// Writes the metadata of `tree`, then the superblock, and gives the output back, not yet synced.
    ///
    /// Files on device 0 point at extents written before. Whiteouts become character devices 0:0 and opaque directories get
    /// the xattr `trusted.overlay.opaque`, as overlayfs reads them.
    ///
    /// # Errors
    /// See [`Error`]. All but [`Error::Write`] and [`Error::ReadInline`] are found before any metadata is written.
    pub fn finish(self, tree: &Tree, inline: &mut dyn InlineData) -> Result<(Written, W), Error> {
        self.plan(tree)?.write(inline)
    }

    /// The first half of [`finish`](Self::finish): decides where the metadata goes, and so how long the image will be.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn plan(mut self, tree: &Tree) -> Result<PlannedImage<'_, W>, Error> {
        let bounds = Bounds {
            data_end: self.output.pad_to_block()?,
            devices: &self.options.devices,
            minimum_kernel: self.options.minimum_kernel,
        };
        let plan = Plan::new(tree, bounds, self.options.fixed_time)?;
        Ok(PlannedImage {
            blocks: plan.end_block().ok_or(Error::ImageTooLarge)?,
            output: self.output,
            options: self.options,
            tree,
            plan,
        })
    }
}

/// An image whose metadata has its places, and only has to be written.
#[derive(Debug)]
pub struct PlannedImage<'t, W> {
    output: Output<W>,
    options: Options,
    tree: &'t Tree,
    plan: Plan<'t>,
    blocks: u32,
}

impl<W: Write + Seek> PlannedImage<'_, W> {
    /// How long the image will be, in bytes.
    pub fn bytes(&self) -> u64 {
        u64::from(self.blocks) * u64::from(BLOCK_SIZE)
    }

    /// The second half of [`ImageWriter::finish`].
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::ReadInline`], [`Error::Unplanned`].
    pub fn write(mut self, inline: &mut dyn InlineData) -> Result<(Written, W), Error> {
        let bounds = Bounds {
            data_end: self.plan.meta_blkaddr,
            devices: &self.options.devices,
            minimum_kernel: self.options.minimum_kernel,
        };
        emit::metadata(&mut self.output, self.tree, &self.plan, bounds, inline)?;
        let blocks = self.output.pad_to_block()?;
        if blocks != self.blocks {
            return Err(Error::Unplanned {
                planned: self.blocks,
                written: blocks,
            });
        }
        let head = emit::head(&self.options, &self.plan, blocks)?;
        let (output, crc32c) = self.output.finish(&head)?;
        let needed = Feature::of(emit::incompat(&self.options, &self.plan))
            .map(Feature::minimum_kernel)
            .fold(KernelVersion::BASE, Ord::max);
        Ok((
            Written {
                blocks,
                inodes: self.plan.inode_count(),
                crc32c,
                minimum_kernel: needed,
            },
            output,
        ))
    }
}
