//! The places of labels: beside the ends of their lines, without overlap.

/// The desired place of a label: the end of its line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wish {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
}

/// The heights of the labels: as desired, or as near as the labels of the same column allow. Line ends less
/// than `reach` apart form a column.
pub fn place(wishes: &[Wish], line_height: f64, reach: f64) -> Vec<f64> {
    let mut heights = vec![0.0; wishes.len()];
    let mut left: Vec<usize> = (0..wishes.len()).collect();
    left.sort_by(|a, b| wishes[*a].x.total_cmp(&wishes[*b].x));
    while let Some(first) = left.first().copied() {
        let (mut column, others): (Vec<usize>, Vec<usize>) =
            left.into_iter().partition(|at| wishes[*at].x - wishes[first].x < reach);
        column.sort_by(|a, b| wishes[*a].y.total_cmp(&wishes[*b].y));
        for (at, y) in
            column.iter().zip(spread(&column.iter().map(|at| wishes[*at].y).collect::<Vec<_>>(), line_height))
        {
            heights[*at] = y;
        }
        left = others;
    }
    heights
}

/// Moves ascending heights apart: neighbours that are too near form a stack around their mean, and stacks that
/// meet merge.
fn spread(wishes: &[f64], line_height: f64) -> Vec<f64> {
    let mut stacks: Vec<(f64, usize)> = Vec::new();
    for wish in wishes {
        // A stack is the sum of the heights that its lines want its first line at, and its number of lines.
        let mut stack = (*wish, 1);
        while let Some(before) = stacks.last().copied() {
            let end = before.0 / before.1 as f64 + before.1 as f64 * line_height;
            if end <= stack.0 / stack.1 as f64 {
                break;
            }
            stacks.pop();
            stack = (before.0 + stack.0 - (before.1 * stack.1) as f64 * line_height, before.1 + stack.1);
        }
        stacks.push(stack);
    }
    stacks
        .into_iter()
        .flat_map(|(sum, lines)| (0..lines).map(move |line| sum / lines as f64 + line as f64 * line_height))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: &[f64], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len());
        assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-9), "{found:?}");
    }

    #[test]
    fn labels_with_room_stay_where_they_wish() {
        near(&spread(&[10.0, 40.0, 90.0], 20.0), &[10.0, 40.0, 90.0]);
    }

    #[test]
    fn labels_that_would_overlap_share_the_move() {
        near(&spread(&[50.0, 50.0], 20.0), &[40.0, 60.0]);
        near(&spread(&[50.0, 52.0, 54.0], 20.0), &[32.0, 52.0, 72.0]);
        // A stack that grows into the label above absorbs it.
        let spread = spread(&[30.0, 50.0, 50.0, 50.0, 200.0], 20.0);
        assert!(spread.windows(2).all(|pair| pair[1] - pair[0] >= 20.0 - 1e-9), "{spread:?}");
        near(&spread[4..], &[200.0]);
    }

    #[test]
    fn columns_do_not_push_each_other() {
        let wishes = [Wish { x: 500.0, y: 50.0 }, Wish { x: 100.0, y: 50.0 }, Wish { x: 110.0, y: 50.0 }];
        near(&place(&wishes, 20.0, 40.0), &[50.0, 40.0, 60.0]);
    }
}
