use microsandbox_image::ImageConfig;

use crate::failure::Failure;
use crate::output::{Output, one_line};

/// Prints how to run an image.
pub(super) fn config(output: &mut Output, config: &ImageConfig) -> Result<(), Failure> {
    output.line(format_args!("\nconfig"))?;
    let mut line =
        |name: &str, value: &str| output.line(format_args!("  {name:<12} {}", one_line(value)));
    // Quotes show where each argument ends.
    let argv = |words: &Option<Vec<String>>| words.as_ref().map(|words| format!("{words:?}"));
    let single = [
        ("architecture", config.architecture.clone()),
        ("created", config.created.clone()),
        ("entrypoint", argv(&config.entrypoint)),
        ("cmd", argv(&config.cmd)),
        ("working-dir", config.working_dir.clone()),
        ("user", config.user.clone()),
        ("stop-signal", config.stop_signal.clone()),
        (
            "healthcheck",
            config
                .healthcheck
                .as_ref()
                .map(|check| format!("{:?}", check.test)),
        ),
    ];
    for (name, value) in single {
        if let Some(value) = value {
            line(name, &value)?;
        }
    }
    let several = [
        ("env", &config.env),
        ("port", &config.exposed_ports),
        ("volume", &config.volumes),
    ];
    for (name, values) in several {
        for value in values {
            line(name, value)?;
        }
    }
    for (name, value) in &config.labels {
        line("label", &format!("{name}={value}"))?;
    }
    Ok(())
}

/// Prints the steps of the making of the image, oldest first.
pub(super) fn history(output: &mut Output, config: &ImageConfig) -> Result<(), Failure> {
    if config.history.is_empty() {
        return Ok(());
    }
    output.line(format_args!("\nhistory, oldest first"))?;
    for step in &config.history {
        let text = step.created_by.as_deref().or(step.comment.as_deref());
        let created = step.created.as_deref().unwrap_or("-");
        let empty = if step.empty_layer { " (no layer)" } else { "" };
        output.line(format_args!(
            "  {} {}{empty}",
            one_line(created),
            one_line(text.unwrap_or("-"))
        ))?;
    }
    Ok(())
}
