//! Runs one workload: `workloads NAME FOLDER`; see [`msb_bench::workloads`]. Without arguments it names them all.

use std::{error::Error, io::Write, path::Path};

use msb_bench::workloads::Workload;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut out = std::io::stdout();
    let [name, folder] = arguments.as_slice() else {
        for workload in Workload::ALL {
            writeln!(out, "{}", workload.name())?;
        }
        return Ok(());
    };
    let mut all = Workload::ALL.into_iter();
    let workload = all
        .find(|workload| workload.name() == name)
        .ok_or_else(|| format!("no workload is called {name}"))?;
    writeln!(out, "{}", workload.run(Path::new(folder))?)?;
    Ok(())
}
