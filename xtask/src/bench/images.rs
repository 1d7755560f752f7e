use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use msb_testkit::image::{Compression, ImageBuilder, Layer};
use msb_testkit::oracle;
use msb_testkit::registry::DockerRegistry;
use msb_testkit::tar::Recipe;
use msb_testkit::worlds::{TAG, World};

/// Changes whenever a recipe below does, so that all are made again.
const VERSION: &str = "1";
/// Runs of an image that takes a quarter of a minute or more each, of which the median of three says enough.
const LONG_RUNS: usize = 3;
/// Files in a directory, and in a layer of a many-layered image.
const DIRECTORY_FILES: u32 = 100;
const LAYER_FILES: u32 = 20;

/// An image to measure with: one of the test kit's worlds, or one that is made here and kept in the oracle folder.
#[derive(Clone, Copy, Debug)]
pub(super) struct BenchImage {
    name: &'static str,
    recipe: Recipes,
}

#[derive(Clone, Copy, Debug)]
enum Recipes {
    World(World),
    /// One layer of 8 MB, as a small distribution has.
    Small,
    /// One layer of so many small files.
    Files(u32),
    /// One layer of so many MiB in files of 16 MiB.
    Bytes(u32),
    /// So many small layers.
    Layers(u32),
}

const fn world(name: &'static str, world: World) -> BenchImage {
    BenchImage {
        name,
        recipe: Recipes::World(world),
    }
}

const fn made(name: &'static str, recipe: Recipes) -> BenchImage {
    BenchImage { name, recipe }
}

/// The images of the table of pulls.
const MAIN: [BenchImage; 9] = [
    made("small", Recipes::Small),
    world("base", World::Base),
    world("python-large", World::PythonLarge),
    world("python-large-zstd", World::PythonLargeZstd),
    world("node", World::Node),
    world("many-layers", World::ManyLayers),
    made("layers-300", Recipes::Layers(300)),
    world("large", World::Large),
    made("files-1m", Recipes::Files(1_000_000)),
];
/// Smaller ones of the same kind, for a quick look.
const OTHERS: [BenchImage; 2] = [world("python", World::Python), world("zstd", World::Zstd)];
/// Those that only the table of growth has.
const GROWTH: [BenchImage; 7] = [
    made("bytes-128m", Recipes::Bytes(128)),
    made("bytes-512m", Recipes::Bytes(512)),
    made("bytes-2g", Recipes::Bytes(2048)),
    made("files-10k", Recipes::Files(10_000)),
    made("files-100k", Recipes::Files(100_000)),
    made("layers-30", Recipes::Layers(30)),
    made("layers-100", Recipes::Layers(100)),
];

/// Every image.
pub(super) fn all() -> impl Iterator<Item = BenchImage> {
    MAIN.into_iter().chain(OTHERS).chain(GROWTH)
}

pub(super) fn main() -> Vec<BenchImage> {
    MAIN.into()
}

/// Those that are pulled again and again from the cache: few and many files and layers.
pub(super) fn warm() -> Vec<BenchImage> {
    let wanted = ["small", "python-large", "node", "many-layers", "layers-300"];
    MAIN.into_iter()
        .filter(|image| wanted.contains(&image.name))
        .collect()
}

pub(super) fn find(name: &str) -> Result<BenchImage, Box<dyn Error>> {
    all().find(|image| image.name == name).ok_or_else(|| {
        let names: Vec<_> = all().map(|image| image.name).collect();
        format!("no image is called {name}; there are {}", names.join(", ")).into()
    })
}

impl BenchImage {
    /// The image's name, also its repository's.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// The length in which it grows in the table of growth: MiB, files or layers.
    pub(super) fn size(&self) -> u32 {
        match self.recipe {
            Recipes::Files(count) | Recipes::Bytes(count) | Recipes::Layers(count) => count,
            Recipes::World(_) | Recipes::Small => 1,
        }
    }

    /// How often to measure it, where `wanted` runs are asked for.
    pub(super) fn runs(&self, wanted: usize) -> usize {
        match self.recipe {
            Recipes::World(World::Large) | Recipes::Files(1_000_000..) => wanted.min(LONG_RUNS),
            // A pull of 50 ms: medians of five still differ by a tenth.
            Recipes::Small => wanted.saturating_mul(3),
            _ => wanted,
        }
    }

    /// Where public tools cannot read it: umoci 0.4.7 knows no zstd.
    pub(super) fn is_zstd(&self) -> bool {
        matches!(
            self.recipe,
            Recipes::World(World::Zstd | World::PythonLargeZstd)
        )
    }

    pub(super) fn push(&self, registry: &DockerRegistry) -> Result<(), Box<dyn Error>> {
        match self.recipe {
            Recipes::World(world) => world.push(registry, self.name)?,
            _ => registry.push_raw(&self.layout()?, self.name, TAG)?,
        };
        Ok(())
    }

    /// The folder of its OCI layout, which is made where it is missing.
    pub(super) fn layout(&self) -> Result<PathBuf, Box<dyn Error>> {
        if let Recipes::World(world) = self.recipe {
            return Ok(world.layout()?);
        }
        let folder = self.folder()?;
        let layout = folder.join("layout");
        if layout.exists() {
            return Ok(layout);
        }
        let work = folder.join("making");
        super::measure::remove(&work)?;
        let made = work.join("layout");
        fs::create_dir_all(&made)?;
        self.make(&work, &made)?;
        fs::rename(&made, &layout)?;
        fs::remove_dir_all(&work)?;
        Ok(layout)
    }

    /// A folder for what is kept of this image.
    pub(super) fn folder(&self) -> Result<PathBuf, Box<dyn Error>> {
        let name = format!("{}-v{VERSION}", self.name);
        let folder = oracle::folder().join("bench").join(name);
        fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    fn make(&self, work: &Path, layout: &Path) -> Result<(), Box<dyn Error>> {
        let blob = work.join("layer.tar.gz");
        let stream = |write: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
            Layer::stream(&blob, Compression::Gzip, |out| write(out))
        };
        let layers = match self.recipe {
            Recipes::World(_) => Vec::new(),
            Recipes::Small => vec![stream(&small)?],
            Recipes::Files(count) => vec![stream(&|out| files(count, out))?],
            Recipes::Bytes(mebibytes) => vec![stream(&|out| bytes(mebibytes, out))?],
            Recipes::Layers(count) => (0..count).map(small_layer).collect(),
        };
        let image = layers
            .into_iter()
            .fold(ImageBuilder::new(), ImageBuilder::layer);
        image.write_layout(layout, TAG)?;
        Ok(())
    }
}

/// 8 MB: programs and libraries, which compress to half, and text.
fn small(out: &mut dyn Write) -> io::Result<()> {
    let mut recipe = String::new();
    for number in 0..400_u32 {
        let (size, fill) = match number % 5 {
            0 => (40_000 + number * 100, "random"),
            _ => (1000 + number * 30, "text"),
        };
        let folder = number / 40;
        recipe.push_str(&format!(
            "file usr/lib/{folder}/file-{number} size={size} seed={number} fill={fill} mode=0755\n"
        ));
    }
    Recipe::new(&recipe).write(out)
}

/// Three of four files are shorter than a block, as in a tree of packages; a quarter takes one.
fn files(count: u32, out: &mut dyn Write) -> io::Result<()> {
    for first in (0..count).step_by(DIRECTORY_FILES as usize) {
        let folder = first / DIRECTORY_FILES;
        let folder = format!("srv/{}/{folder}", folder / 100);
        let mut recipe = format!("dir {folder}\n");
        for number in first..(first + DIRECTORY_FILES).min(count) {
            let size = if number % 4 == 0 {
                2500 + number % 1500
            } else {
                number * 7 % 900
            };
            recipe.push_str(&format!(
                "file {folder}/file-{number}.js size={size} seed={number} fill=text\n"
            ));
        }
        // Directory by directory: a recipe of a million lines would take a gigabyte.
        recipe.push_str("noend");
        Recipe::new(&recipe).write(out)?;
    }
    out.write_all(&[0; 1024])
}

fn bytes(mebibytes: u32, out: &mut dyn Write) -> io::Result<()> {
    let mut recipe = String::new();
    for number in 0..mebibytes / 16 {
        recipe.push_str(&format!(
            "file data/{number} size=16777216 seed={number} fill=mixed\n"
        ));
    }
    Recipe::new(&recipe).write(out)
}

fn small_layer(number: u32) -> Layer {
    let mut recipe = format!("file srv/last data={number}\n");
    for file in 0..LAYER_FILES {
        let seed = number * LAYER_FILES + file;
        recipe.push_str(&format!(
            "file srv/{number}/file-{file} size={} seed={seed} fill=text\n",
            500 + file * 500
        ));
    }
    Layer::recipe(&recipe).gzip()
}
