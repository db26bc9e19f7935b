// Convolutions: any kernel, stride, dilation and group, one output row at a time.
#pragma once
#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "activations.h"
#include "context.h"
#include "gemm.h"
#include "table.h"

constexpr int64_t MAX_TAPS = 1024;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The activations that the inner kernel knows, as the least value that comes out of them.
inline bool is_bound(int64_t activation) { return activation == NONE || activation == RELU; }
inline float bound(int64_t activation) { return activation == RELU ? 0.0f : -INFINITY; }

// Any other activation, on a block of sums that the inner kernel left as they are.
template <class T>
void finish(const Op& op, const float* raw, const End<T>& end, int64_t pixels, const float* slopes, int64_t channel) {
    for (int64_t v = 0; v < op.vectors; v++) {
        const __mmask16 mask = first_lanes(end.channels - v * LANES);
        Vec total = _mm512_setzero_ps();
        for (int64_t p = 0; p < pixels; p++) {
            const int64_t c = channel + v * LANES;
            Vec y = activated(load(raw + (p * op.vectors + v) * LANES), op.activation, slopes, c);
            if (end.residual) {
                y = _mm512_add_ps(y, load(end.residual + p * end.residual_pixel + v * end.residual_block, mask));
                y = activated(y, op.last_activation, slopes, c);
            }
            total = _mm512_add_ps(total, y);
            store(end.out + p * end.pixel + v * end.block, y, mask);
        }
        float* sums = end.sums + v * LANES;
        if (end.sums) store(sums, _mm512_add_ps(load(sums, mask), total), mask);
    }
}

// One piece of work of a convolution: some rows, columns and panels of one image.
template <class T>
struct Convolution {
    const Op& op;
    Scratch& scratch;
    int64_t image, in_group, out_group, columns_wide;
    std::vector<int64_t> cuts;  // columns between which each tap reads pixels throughout, or none
    const T *in, *weights, *residual;
    T* out;
    const float *bias, *slopes;
    float* sums = nullptr;
    bool bounded;
    int64_t panel_elements;
    int64_t tap[MAX_TAPS], row[MAX_TAPS], packed_tap[MAX_TAPS], packed_row[MAX_TAPS];

    Convolution(const Op& op, const Bound& at, Scratch& scratch, int64_t n)
        : op(op), scratch(scratch), image(n), in_group(op.in.block == LANES ? op.in.c / op.groups : op.in.block),
          out_group(op.out.c / op.groups),
          columns_wide(op.merged ? 1 : op.kernel[1]) {
        in = at.at<T>(op.in) + n * op.in.image;
        out = at.at<T>(op.out) + n * op.out.image;
        residual = op.second.n ? at.at<T>(op.second) + n * op.second.image : nullptr;
        weights = at.at<T>(op.weights) + n * op.weights_image;
        bias = at.at<float>(op.bias);
        slopes = at.slopes(op);
        bounded = is_bound(op.activation) && (!op.second.n || is_bound(op.last_activation));
        panel_elements = op.kernel[0] * columns_wide * op.run * op.vectors * LANES;
        cut();
    }

    // Large rates leave whole stretches of a row to some of the taps alone. Short ones are better copied, with zeros, where
    // the map does not stand in blocks.
    void cut() {
        constexpr int64_t LEAST = 8;
        cuts = {0, op.out.w};
        for (int64_t kx = 0; !op.merged && kx < op.kernel[1]; kx++)
            for (int64_t edge : {-op.in.margin, op.in.w + op.in.margin}) {
                int64_t x = ceil_div(edge - in_column(0, kx), op.stride[1]);
                if (edge > in_column(0, kx) && x < op.out.w) cuts.push_back(x);
            }
        std::sort(cuts.begin(), cuts.end());
        cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
        for (size_t i = 1; i < cuts.size() && op.in.block == LANES; i++)
            if (cuts[i] - cuts[i - 1] < LEAST) cuts = {0, op.out.w};
    }

    int64_t in_row(int64_t y, int64_t ky) const { return y * op.stride[0] - op.padding[0] + ky * op.dilation[0]; }
    int64_t in_column(int64_t x, int64_t kx) const { return x * op.stride[1] - op.padding[1] + kx * op.dilation[1]; }
    // Where a column is: before the map and its margin, inside, or behind.
    int side(int64_t ix) const { return ix < -op.in.margin ? -1 : ix < op.in.w + op.in.margin ? 0 : 1; }
    bool uniform(int64_t x0, int64_t x1) const {
        for (int64_t kx = 0; kx < op.kernel[1]; kx++) {
            const int first = side(in_column(x0, kx));
            if (first != side(in_column(x1 - 1, kx)) || (op.merged && first)) return false;
        }
        return true;
    }

    // The taps of a block of which each reads inside the map's columns, or nowhere; what is outside is left out.
    Walk direct(int64_t y, int64_t x) {
        int64_t count = 0;
        for (int64_t ky = 0; ky < op.kernel[0]; ky++) {
            int64_t iy = in_row(y, ky);
            if (iy < 0 || iy >= op.in.h) continue;
            for (int64_t kx = 0; kx < columns_wide; kx++) {
                if (side(in_column(x, kx))) continue;
                tap[count] = op.in.line(iy) + in_column(x, kx) * op.in.pixel;
                row[count++] = ky * columns_wide + kx;
            }
        }
        return {count, tap, row, op.run, op.stride[1] * op.in.pixel};
    }

    // The taps of a block at an edge, over a copy in which what lies outside is zero.
    Walk packed(int64_t y, int64_t x0, int64_t x1, T* copy) {
        const int64_t pixels = x1 - x0, wide = op.merged ? op.run : op.in.c;
        int64_t count = 0;
        for (int64_t ky = 0; ky < op.kernel[0]; ky++) {
            int64_t iy = in_row(y, ky);
            if (iy < 0 || iy >= op.in.h) continue;
            for (int64_t kx = 0; kx < columns_wide; kx++) {
                if (!op.merged && (in_column(x1 - 1, kx) < 0 || in_column(x0, kx) >= op.in.w)) continue;
                T* target = copy + count * pixels * wide;
                packed_tap[count] = count * pixels * wide;
                packed_row[count++] = ky * columns_wide + kx;
                for (int64_t x = x0; x < x1; x++, target += wide) copy_pixel(target, in + op.in.line(iy), x, kx, wide);
            }
        }
        return {count, packed_tap, packed_row, op.run, wide};
    }

    void copy_pixel(T* target, const T* line, int64_t x, int64_t kx, int64_t wide) const {
        int64_t first = in_column(x, kx), last = op.merged ? first + op.kernel[1] : first + 1;
        int64_t from = std::max<int64_t>(first, 0), to = std::min(last, op.in.w);
        if (from >= to) {
            memset(target, 0, wide * sizeof(T));
            return;
        }
        const int64_t size = op.merged ? op.in.c : wide, before = (from - first) * size, filled = (to - from) * size;
        if (before) memset(target, 0, before * sizeof(T));
        memcpy(target + before, line + from * op.in.pixel, filled * sizeof(T));
        if (before + filled < wide) memset(target + before + filled, 0, (wide - before - filled) * sizeof(T));
    }

    void block(int64_t y, int64_t x0, int64_t x1, int64_t first_panel, int64_t last_panel) {
        const bool direct_read = uniform(x0, x1);
        T* copy = (T*)scratch.packed;
        const Walk walk = direct_read ? direct(y, x0) : packed(y, x0, x1, copy);
        const T* from = direct_read ? in : copy;
        const auto kernel = Kernels<T>::get(op.vectors, x1 - x0);
        for (int64_t panel = first_panel; panel < last_panel; panel++) {
            const int64_t group = panel / op.panels, within = panel % op.panels * op.vectors * LANES;
            const int64_t channel = group * out_group + within;
            const int64_t channels = std::min(op.vectors * LANES, out_group - within);
            const int64_t place = channel / LANES * op.out.block + channel % LANES;
            End<T> end{nullptr, bias + panel * op.vectors * LANES, out + op.out.line(y) + x0 * op.out.pixel + place,
                       residual ? residual + op.second.line(y) + x0 * op.second.pixel + channel : nullptr,
                       sums ? sums + channel : nullptr, channels, op.out.pixel, op.second.pixel, op.out.block,
                       LANES, bound(op.activation), bound(op.last_activation)};
            if (!bounded) end.raw = scratch.sums;
            kernel(from + group * in_group, walk, weights + panel * panel_elements, end);
            if (!bounded) finish(op, scratch.sums, end, x1 - x0, slopes, channel);
            if (op.out.margin) clear(out + op.out.line(y) + place, x0, x1, channels);
        }
    }

    // Zeros beside a row.
    void clear(T* line, int64_t x0, int64_t x1, int64_t channels) const {
        const int64_t size = op.out.margin * op.out.pixel;
        for (int64_t c = 0; c < channels; c += LANES, line += op.out.block) {
            if (x0 == 0) memset(line - size, 0, size * sizeof(T));
            if (x1 == op.out.w) memset(line + op.out.w * op.out.pixel, 0, size * sizeof(T));
        }
    }

    void piece(int64_t y0, int64_t y1, int64_t x0, int64_t x1, int64_t first_panel, int64_t last_panel) {
        const int64_t step = op.panels_outside ? 1 : last_panel - first_panel;
        for (int64_t panel = first_panel; panel < last_panel; panel += step)
            for (int64_t y = y0; y < y1; y++)
                for (size_t i = 1; i < cuts.size(); i++)
                    blocks(y, std::max(x0, cuts[i - 1]), std::min(x1, cuts[i]), panel, panel + step);
    }

    void blocks(int64_t y, int64_t x0, int64_t x1, int64_t first_panel, int64_t last_panel) {
        // at large distances between pixels few of them fit one set of lines of the first cache
        const int64_t fit = op.groups > 1 && op.in.block == LANES ? 14 : 28;
        const int64_t count = ceil_div(x1 - x0, std::min(fit, Kernels<T>::most(op.vectors)));
        for (int64_t b = 0; b < count; b++)
            block(y, x0 + (x1 - x0) * b / count, x0 + (x1 - x0) * (b + 1) / count, first_panel, last_panel);
    }
};

inline int64_t conv_pieces(const Op& op) {
    return op.out.n * ceil_div(op.groups * op.panels, op.panel_span) * ceil_div(op.out.h, op.rows) *
           ceil_div(op.out.w, op.columns);
}

// Pieces are numbered image first, then panels, rows, columns. Partial sums belong to a place, not to a thread, so that
// their order, and with it the result, is always the same.
template <class T>
void conv_piece(const Op& op, const Bound& at, Scratch& scratch, int64_t piece) {
    const int64_t across = ceil_div(op.out.w, op.columns), down = ceil_div(op.out.h, op.rows);
    const int64_t spans = ceil_div(op.groups * op.panels, op.panel_span);
    const int64_t column = piece % across, row = piece / across % down, span = piece / across / down % spans;
    Convolution<T> work(op, at, scratch, piece / across / down / spans);
    const int64_t first = span * op.panel_span, last = std::min(first + op.panel_span, op.groups * op.panels);
    if (op.sums.slot) {
        work.sums = at.at<float>(op.sums) + (work.image * op.pieces + row * across + column) * op.sums_channels;
        auto start = [&](int64_t panel) {
            return std::min(panel / op.panels * work.out_group + panel % op.panels * op.vectors * LANES, op.out.c);
        };
        memset(work.sums + start(first), 0, (start(last) - start(first)) * sizeof(float));
    }
    work.piece(row * op.rows, std::min((row + 1) * op.rows, op.out.h), column * op.columns,
               std::min((column + 1) * op.columns, op.out.w), first, last);
}

// Some rows of an image; sums are added to, and belong to a strip of the map.
template <class T>
void conv_rows(const Op& op, const Bound& at, Scratch& scratch, int64_t n, int64_t y0, int64_t y1, float* sums) {
    Convolution<T> work(op, at, scratch, n);
    work.sums = sums;
    work.piece(y0, y1, 0, op.out.w, 0, op.groups * op.panels);
}
