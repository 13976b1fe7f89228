//! The matrix product, by the `gemm-f32` crate, over slices whose bounds are checked here.

#![expect(unsafe_code, reason = "gemm takes pointers and strides")]

/// A matrix inside a slice; element (i, j) is at `i * row_stride + j * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Layout {
    /// Rows one after another, `row_stride` apart.
    pub(crate) fn row_major(rows: usize, columns: usize, row_stride: usize) -> Self {
        Self {
            rows,
            columns,
            row_stride,
            column_stride: 1,
        }
    }

    /// The transpose, in place.
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Elements that a slice must hold.
    fn len(self) -> usize {
        match (self.rows, self.columns) {
            (0, _) | (_, 0) => 0,
            (rows, columns) => {
                (rows - 1) * self.row_stride + (columns - 1) * self.column_stride + 1
            }
        }
    }
}

/// `out = a b`, or `out += a b` with `accumulate`, on one thread.
///
/// # Panics
/// If the shapes do not chain, a slice is too short, or rows of `out` overlap.
pub(crate) fn matrix_product(
    (a, a_layout): (&[f32], Layout),
    (b, b_layout): (&[f32], Layout),
    accumulate: bool,
    (out, layout): (&mut [f32], Layout),
) {
    assert!(
        a_layout.columns == b_layout.rows
            && layout.rows == a_layout.rows
            && layout.columns == b_layout.columns,
        "shapes do not chain"
    );
    assert!(
        a.len() >= a_layout.len() && b.len() >= b_layout.len(),
        "short factor"
    );
    assert!(out.len() >= layout.len(), "short product");
    assert!(
        layout.column_stride == 1 && layout.row_stride >= layout.columns,
        "rows of the product overlap"
    );
    if layout.rows == 0 || layout.columns == 0 {
        return;
    }
    // The kernels are written for columns that lie together, so that the product of the transposes is what is asked for.
    let (a_layout, b_layout, layout) = (
        a_layout.transposed(),
        b_layout.transposed(),
        layout.transposed(),
    );
    // SAFETY: every element that the strides reach lies inside its slice, checked above; `out` is
    // borrowed mutably, so it overlaps neither factor, and its elements are distinct.
    unsafe {
        gemm_f32::gemm::f32::get_gemm_fn()(
            layout.rows,
            layout.columns,
            a_layout.rows,
            out.as_mut_ptr(),
            layout.column_stride as isize,
            layout.row_stride as isize,
            accumulate,
            b.as_ptr(),
            b_layout.column_stride as isize,
            b_layout.row_stride as isize,
            a.as_ptr(),
            a_layout.column_stride as isize,
            a_layout.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm_common::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_by_two_by_hand() {
        let a = [1.0, 2.0, 3.0, 4.0];
        let square = Layout::row_major(2, 2, 2);
        let mut out = [f32::NAN; 4];
        matrix_product(
            (&a, square),
            (&a, square.transposed()),
            false,
            (&mut out, square),
        );
        assert_eq!(out, [5.0, 11.0, 11.0, 25.0]);
        matrix_product((&a, square), (&a, square), true, (&mut out, square));
        assert_eq!(out, [12.0, 21.0, 26.0, 47.0]);
    }

    #[test]
    #[should_panic(expected = "short factor")]
    fn a_short_slice_is_refused() {
        let square = Layout::row_major(2, 2, 2);
        matrix_product(
            (&[1.0; 3], square),
            (&[1.0; 4], square),
            false,
            (&mut [0.0; 4], square),
        );
    }
}
