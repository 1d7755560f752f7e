//! From the text of a recipe to its items.

use super::{
    entry::{Data, Entry, Item, Numbers, SparseForm},
    header::Format,
};
use crate::content::Fill;

/// Reads a whole recipe. The error is the line's number (from 1) and what is wrong with it.
pub(crate) fn items(text: &str) -> Result<Vec<Item>, (usize, String)> {
    let mut items = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        items.push(item(line).map_err(|problem| (index + 1, problem))?);
    }
    Ok(items)
}

fn item(line: &str) -> Result<Item, String> {
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    match verb {
        "bytes" => Ok(Item::Bytes(value(rest.first().ok_or("bytes of what?")?)?)),
        "noend" => Ok(Item::NoEnd),
        "global" => {
            let records = rest
                .iter()
                .map(|word| key_value(word))
                .collect::<Result<_, _>>()?;
            Ok(Item::Global(records))
        }
        _ => entry(verb, &rest).map(|entry| Item::Entry(Box::new(entry))),
    }
}

fn entry(verb: &str, rest: &[&str]) -> Result<Entry, String> {
    let (path, attributes) = rest.split_first().ok_or("a path is missing")?;
    let mut path = value(path)?;
    let typeflag = match verb {
        "file" | "raw" => b'0',
        "whiteout" => {
            let at = path
                .iter()
                .rposition(|&byte| byte == b'/')
                .map_or(0, |slash| slash + 1);
            path.splice(at..at, *b".wh.");
            b'0'
        }
        "opaque" => {
            if path != b"." && path != b"/" {
                path.push(b'/');
            } else {
                path.clear();
            }
            path.extend_from_slice(b".wh..wh..opq");
            b'0'
        }
        "link" => b'1',
        "symlink" => b'2',
        "char" => b'3',
        "block" => b'4',
        "dir" => b'5',
        "fifo" => b'6',
        "contiguous" => b'7',
        _ => return Err(format!("unknown verb {verb:?}")),
    };
    let mut entry = Entry::new(typeflag, path);
    for word in attributes {
        let (key, text) = word
            .split_once('=')
            .ok_or_else(|| format!("{word:?} is not key=value"))?;
        attribute(&mut entry, key, text)?;
    }
    Ok(entry)
}

fn attribute(entry: &mut Entry, key: &str, text: &str) -> Result<(), String> {
    match key {
        "mode" => {
            entry.mode =
                u32::from_str_radix(text, 8).map_err(|_| format!("mode {text:?} is not octal"))?
        }
        "uid" => entry.uid = number(text)?,
        "gid" => entry.gid = number(text)?,
        "uname" => entry.uname = value(text)?,
        "gname" => entry.gname = value(text)?,
        "mtime" => {
            let whole = text.split('.').next().unwrap_or_default();
            entry.mtime = number(whole)?;
            entry.mtime_text = text.to_owned();
        }
        "target" => entry.link = value(text)?,
        "dev" => {
            let (major, minor) = text.split_once(':').ok_or("dev is major:minor")?;
            (entry.major, entry.minor) = (number(major)?, number(minor)?);
        }
        "size" => entry.size = number(text)?,
        "seed" => {
            entry.data = Data::Seeded {
                seed: number(text)?,
                fill: entry.fill(),
            }
        }
        "fill" => {
            let fill = match text {
                "random" => Fill::Random,
                "text" => Fill::Text,
                "mixed" => Fill::Mixed,
                "zero" => Fill::Zero,
                _ => return Err(format!("unknown fill {text:?}")),
            };
            entry.data = Data::Seeded {
                seed: entry.seed(),
                fill,
            };
        }
        "data" => entry.data = Data::Bytes(value(text)?),
        "type" => entry.typeflag = *value(text)?.first().ok_or("type of one byte")?,
        "header-size" => entry.header_size = Some(number(text)?),
        "format" => {
            entry.format = match text {
                "v7" => Format::V7,
                "ustar" => Format::Ustar,
                "pax" => Format::Pax,
                "gnu" => Format::Gnu,
                _ => return Err(format!("unknown format {text:?}")),
            }
        }
        "numbers" => {
            entry.numbers = match text {
                "auto" => Numbers::Auto,
                "base256" => Numbers::Base256,
                "pax" => Numbers::Pax,
                _ => return Err(format!("unknown numbers {text:?}")),
            }
        }
        "version" => entry.version = Some(value(text)?),
        "checksum" => entry.bad_checksum = text == "bad",
        "slash" => entry.slash = text != "no",
        "sparse" => {
            entry.sparse = Some(match text {
                "gnu" => SparseForm::Gnu,
                "pax0.0" => SparseForm::Pax00,
                "pax0.1" => SparseForm::Pax01,
                "pax1.0" => SparseForm::Pax10,
                _ => return Err(format!("unknown sparse form {text:?}")),
            });
        }
        "map" => {
            for pair in text.split(',').filter(|pair| !pair.is_empty()) {
                let (offset, length) = pair.split_once(':').ok_or("map is offset:length,...")?;
                entry.map.push((number(offset)?, number(length)?));
            }
        }
        _ => {
            let record = if let Some(name) = key.strip_prefix("xattr.") {
                (format!("SCHILY.xattr.{name}"), value(text)?)
            } else if let Some(name) = key.strip_prefix("libarchive.") {
                (
                    format!("LIBARCHIVE.xattr.{name}"),
                    base64(&value(text)?).into_bytes(),
                )
            } else if let Some(name) = key.strip_prefix("pax.") {
                (name.to_owned(), value(text)?)
            } else {
                return Err(format!("unknown attribute {key:?}"));
            };
            entry.records.push((value(&record.0)?, record.1));
        }
    }
    Ok(())
}

fn key_value(word: &str) -> Result<(Vec<u8>, Vec<u8>), String> {
    let (key, text) = word
        .split_once('=')
        .ok_or_else(|| format!("{word:?} is not key=value"))?;
    Ok((value(key)?, value(text)?))
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a number that fits"))
}

/// `hex:` and digits, or text with the escapes `\n`, `\s` (a blank), `\\` and `\xNN`.
pub(crate) fn value(text: &str) -> Result<Vec<u8>, String> {
    if let Some(digits) = text.strip_prefix("hex:") {
        if !digits.len().is_multiple_of(2) || !digits.is_ascii() {
            return Err(format!("odd hexadecimal digits {digits:?}"));
        }
        return (0..digits.len())
            .step_by(2)
            .map(|at| byte(&digits[at..at + 2]))
            .collect();
    }
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (produced, used) = match escape.as_bytes().first() {
            Some(b'n') => (b'\n', 1),
            Some(b's') => (b' ', 1),
            Some(b'\\') => (b'\\', 1),
            Some(b'x') => (byte(escape.get(1..3).ok_or("\\x without two digits")?)?, 3),
            _ => return Err(format!("unknown escape in {text:?}")),
        };
        bytes.push(produced);
        rest = &escape[used..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

fn byte(digits: &str) -> Result<u8, String> {
    u8::from_str_radix(digits, 16).map_err(|_| format!("{digits:?} is not a hexadecimal byte"))
}

/// RFC 4648 without padding, as libarchive writes it.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0_u32, |sum, &byte| sum << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            text.push(char::from(
                ALPHABET[(group >> (18 - 6 * index) & 63) as usize],
            ));
        }
    }
    text
}
