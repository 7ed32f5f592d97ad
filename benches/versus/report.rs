//! What is written: a table for reading, JSON lines for comparing, percentiles as text and as a picture.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use hdrhistogram::Histogram;
use plotters::prelude::*;
use serde::Serialize;

/// What came out of comparing one figure.
#[derive(Serialize, Debug)]
pub struct Line {
    pub group: &'static str,
    pub case: String,
    pub unit: &'static str,
    pub better: &'static str,
    pub ours: f64,
    pub peers: BTreeMap<&'static str, f64>,
    /// Ringmill in other ways than its first.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<&'static str, f64>,
    pub best_peer: Option<&'static str>,
    /// Above 1: ringmill is better than the best peer.
    pub ratio: Option<f64>,
    pub limit: Option<f64>,
    pub rounds: usize,
    /// An interval that holds the ratio's true median 95 times in 100.
    pub spread: Option<[f64; 2]>,
    /// The longest time for which a spinning thread did not run, just before the case.
    pub hiccup_us: f64,
    /// How far apart two cores are, before the case and after it; none where there is one core.
    pub cores_ns: Option<[f64; 2]>,
}

/// All latencies of one subject in one case.
pub struct Curve {
    pub case: String,
    pub subject: &'static str,
    /// In nanoseconds.
    pub times: Histogram<u64>,
}

/// Says a line as a row of a table.
pub fn print(line: &Line) {
    let Line {
        case, unit, ours, ..
    } = line;
    let peer = line.best_peer.map_or_else(String::new, |name| {
        let ratio = line.ratio.unwrap_or(f64::NAN);
        let [low, high] = line.spread.unwrap_or([f64::NAN; 2]);
        let theirs = line.peers[name];
        format!("  {ratio:6.2} x [{low:.2}, {high:.2}] {name} {theirs:.4}")
    });
    let limit = line
        .limit
        .map_or_else(String::new, |limit| format!("  limit {limit:.4}"));
    println!("{case:<44} {ours:>12.4} {unit:<6}{peer}{limit}");
    for (name, figure) in &line.variants {
        println!("{name:>44} {figure:>12.4} {unit}");
    }
}

/// Writes lines of JSON.
pub fn write_json(path: &Path, lines: &[Line]) -> io::Result<()> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line)?;
        text.push('\n');
    }
    fs::write(path, text)
}

/// Writes each curve beside `json`, as text, and those of a case together, as a picture.
pub fn write_curves(json: &Path, curves: &[Curve]) -> io::Result<()> {
    let mut cases: BTreeMap<&str, Vec<&Curve>> = BTreeMap::new();
    for curve in curves {
        write_hgrm(
            &beside(json, &format!("{} {}", curve.case, curve.subject), "hgrm"),
            &curve.times,
        )?;
        cases.entry(&curve.case).or_default().push(curve);
    }
    for (case, curves) in cases {
        draw(&beside(json, case, "svg"), case, &curves).map_err(io::Error::other)?;
    }
    Ok(())
}

/// A file beside another, with its stem and `name` in its own.
fn beside(json: &Path, name: &str, extension: &str) -> std::path::PathBuf {
    let stem = json.file_stem().unwrap_or_default().to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    json.with_file_name(format!("{stem}-{name}.{extension}"))
}

/// The format that HdrHistogram's plotter reads, in nanoseconds.
fn write_hgrm(path: &Path, times: &Histogram<u64>) -> io::Result<()> {
    let mut out = io::BufWriter::new(fs::File::create(path)?);
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    for step in times.iter_quantiles(5) {
        let (value, quantile) = (step.value_iterated_to(), step.quantile_iterated_to());
        let count = times.count_between(0, value);
        write!(out, "{value:>12.3} {quantile:>14.12} {count:>10}")?;
        if quantile < 1.0 {
            write!(out, " {:>14.2}", 1.0 / (1.0 - quantile))?;
        }
        writeln!(out)?;
    }
    let [mean, deviation] = [times.mean(), times.stdev()];
    writeln!(
        out,
        "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]"
    )?;
    writeln!(
        out,
        "#[Max     = {:>12.3}, Total count    = {:>12}]",
        times.max(),
        times.len()
    )?;
    writeln!(
        out,
        "#[Buckets = {:>12}, SubBuckets     = {:>12}]",
        times.buckets(),
        times.distinct_values()
    )?;
    out.flush()
}

/// Percentiles against time, both on logarithmic scales.
fn draw(path: &Path, title: &str, curves: &[&Curve]) -> Result<(), String> {
    // The last of n samples stands at 1 - 1/2n.
    let points = |times: &Histogram<u64>| -> Vec<(f64, f64)> {
        let end = 1.0 - 0.5 / times.len() as f64;
        times
            .iter_quantiles(10)
            .map(|step| {
                (
                    step.quantile_iterated_to().min(end),
                    step.value_iterated_to(),
                )
            })
            .map(|(quantile, value)| (-(1.0 - quantile).log10(), (value.max(1) as f64).log10()))
            .collect()
    };
    let drawn: Vec<_> = curves
        .iter()
        .map(|curve| (curve.subject, points(&curve.times)))
        .collect();
    let all = || drawn.iter().flat_map(|(_, points)| points);
    let right = all().map(|point| point.0).fold(1.0, f64::max);
    let low = all()
        .map(|point| point.1)
        .fold(f64::INFINITY, f64::min)
        .floor();
    let high = all().map(|point| point.1).fold(1.0, f64::max).ceil();

    let text = |error: &dyn std::fmt::Display| error.to_string();
    let area = SVGBackend::new(path, (960, 540)).into_drawing_area();
    area.fill(&WHITE).map_err(|error| text(&error))?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..right, low..high)
        .map_err(|error| text(&error))?;
    chart
        .configure_mesh()
        .x_desc("percentile")
        .y_desc("nanoseconds")
        .x_labels(right.ceil() as usize + 1)
        .y_labels((high - low) as usize + 1)
        .x_label_formatter(&|x| format!("{}", 100.0 - 100.0 * 10f64.powf(-x)))
        .y_label_formatter(&|y| format!("{:.0}", 10f64.powf(*y)))
        .draw()
        .map_err(|error| text(&error))?;
    for (nth, (subject, points)) in drawn.iter().enumerate() {
        let color = Palette99::pick(nth).stroke_width(if nth == 0 { 3 } else { 1 });
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color))
            .map_err(|error| text(&error))?
            .label(*subject)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .position(SeriesLabelPosition::UpperLeft)
        .draw()
        .map_err(|error| text(&error))?;
    area.present().map_err(|error| text(&error))
}
