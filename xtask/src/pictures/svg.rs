//! A terminal's lines as a picture.

/// The measures of a character of the font, in pixels.
const WIDTH: f64 = 8.43;
const HEIGHT: usize = 19;
const MARGIN: usize = 16;

/// Lines with the escapes for colours as a picture of a terminal so many characters wide.
pub(super) fn draw(lines: &[String], columns: usize) -> String {
    let rows: Vec<Vec<Cell>> = lines.iter().flat_map(|line| wrapped(&cells(line), columns)).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default().max(60);
    let (width, height) = ((columns as f64 * WIDTH) as usize + 2 * MARGIN, rows.len() * HEIGHT + 2 * MARGIN);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-size=\"14\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\" \
         fill=\"#d8dee9\" xml:space=\"preserve\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#20242c\"/>\n"
    );
    for (at, row) in rows.iter().enumerate() {
        let y = MARGIN + at * HEIGHT + 14;
        out += &format!("<text x=\"{MARGIN}\" y=\"{y}\">{}</text>\n", spans(row));
    }
    out + "</svg>\n"
}

/// A character, and how it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    character: char,
    look: &'static str,
}

/// What an escape makes of the text behind it.
fn look(code: &str) -> &'static str {
    match code {
        "1" => "font-weight=\"bold\" fill=\"#ffffff\"",
        "2" => "fill=\"#7b8494\"",
        "3" => "font-style=\"italic\"",
        "31" => "fill=\"#e06c75\"",
        "32" => "fill=\"#a3be8c\"",
        "33" => "fill=\"#ebcb8b\"",
        "36" => "fill=\"#88c0d0\"",
        _ => "",
    }
}

fn cells(line: &str) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut now = "";
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        let escape = rest.strip_prefix("\u{1b}[").and_then(|rest| rest.split_once('m'));
        rest = match escape {
            Some((code, behind)) => {
                now = look(code);
                behind
            }
            None => {
                cells.push(Cell { character, look: now });
                &rest[character.len_utf8()..]
            }
        };
    }
    cells
}

fn wrapped(cells: &[Cell], columns: usize) -> Vec<Vec<Cell>> {
    if cells.is_empty() {
        return vec![Vec::new()];
    }
    cells.chunks(columns).map(<[Cell]>::to_vec).collect()
}

fn spans(row: &[Cell]) -> String {
    let mut out = String::new();
    for run in row.chunk_by(|one, next| one.look == next.look) {
        let text: String = run.iter().map(|cell| cell.character).collect();
        let text = escaped(&text);
        match run.first().map(|cell| cell.look).unwrap_or_default() {
            "" => out += &text,
            look => out += &format!("<tspan {look}>{text}</tspan>"),
        }
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_spans_and_nothing_is_markup() {
        let line = cells("a \u{1b}[1mb<c\u{1b}[0m &");
        assert_eq!(line.len(), 7);
        assert_eq!(spans(&line), "a <tspan font-weight=\"bold\" fill=\"#ffffff\">b&lt;c</tspan> &amp;");
    }

    #[test]
    fn what_is_too_long_goes_on_in_the_next_line() {
        let rows = wrapped(&cells("ééééé"), 4);
        assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [4, 1]);
        assert_eq!(wrapped(&[], 4).len(), 1, "an empty line is a line");
        let picture = draw(&["x".repeat(200)], 100);
        assert!(picture.contains("width=\"875\"") && picture.matches("<text").count() == 2, "{picture}");
    }
}
