use std::io::{self, Write};

/// A Markdown table that is printed row by row, so that a long measurement can be watched.
pub(super) struct Printed<'a> {
    out: &'a mut dyn Write,
    widths: Vec<usize>,
}

impl<'a> Printed<'a> {
    /// Prints the head. The first column is for names, as wide as the longest of `names`.
    pub(super) fn head(
        out: &'a mut dyn Write,
        names: &[&str],
        heads: &[&str],
    ) -> io::Result<Printed<'a>> {
        let longest = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut widths: Vec<usize> = heads.iter().map(|head| head.chars().count()).collect();
        if let Some(first) = widths.first_mut() {
            *first = longest.max(*first);
        }
        let mut table = Printed { out, widths };
        table.row(
            &heads
                .iter()
                .map(|head| (*head).to_owned())
                .collect::<Vec<_>>(),
        )?;
        let rules: Vec<String> = table
            .widths
            .iter()
            .enumerate()
            .map(|(column, width)| {
                let dashes = "-".repeat(width.saturating_sub(1).max(2));
                if column == 0 {
                    format!("{dashes}-")
                } else {
                    format!("{dashes}:")
                }
            })
            .collect();
        table.row(&rules)?;
        Ok(table)
    }

    pub(super) fn row(&mut self, cells: &[String]) -> io::Result<()> {
        for (column, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            let width = *width;
            if column == 0 {
                write!(self.out, "| {cell:<width$} |")?;
            } else {
                write!(self.out, " {cell:>width$} |")?;
            }
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    /// Ends the table.
    pub(super) fn end(self) -> io::Result<()> {
        writeln!(self.out)
    }
}

/// Seconds, with as many digits as a measurement has.
pub(super) fn seconds(value: f64) -> String {
    if value < 1.0 {
        format!("{value:.3}")
    } else {
        format!("{value:.2}")
    }
}

/// A number with two digits behind the point; `-` for none.
pub(super) fn ratio(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.2}")
    } else {
        "-".to_owned()
    }
}

/// Millions of bytes.
pub(super) fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// As a floating-point number; counts here are far below 2^53.
pub(super) fn float(count: u64) -> f64 {
    // Two halves, each of which a double holds exactly.
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}
