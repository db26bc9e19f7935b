// Convolutions: any kernel, stride, dilation and group, one output row at a time.
#pragma once
#include <algorithm>
#include <type_traits>

#include "activations.h"
#include "context.h"
#include "gemm.h"
#include "table.h"

constexpr int64_t MAX_TAPS = 1024;

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Adds bias, residual and activations to a block of results and writes it; adds what it wrote to the sums.
template <class T, int64_t FIRST, bool RESIDUAL, int64_t LAST, int NV>
void finish(const Op& op, const float* acc, const float* bias, T* out, const T* residual, int64_t pixels,
            int64_t channels, float* sums) {
    Vec shift[NV], total[NV];
    __mmask16 mask[NV];
    for (int v = 0; v < NV; v++) {
        shift[v] = load(bias + v * LANES);
        total[v] = _mm512_setzero_ps();
        mask[v] = first_lanes(std::max<int64_t>(channels - v * LANES, 0));
    }
    for (int64_t p = 0; p < pixels; p++, acc += NV * LANES, out += op.out.pixel) {
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            Vec y = apply<FIRST>(_mm512_add_ps(load(acc + v * LANES), shift[v]), op.activation);
            if constexpr (RESIDUAL) {
                y = _mm512_add_ps(y, load(residual + p * op.second.pixel + v * LANES, mask[v]));
                y = apply<LAST>(y, op.last_activation);
            }
            total[v] = _mm512_add_ps(total[v], y);
            store(out + v * LANES, y, mask[v]);
        }
    }
    for (int v = 0; sums && v < NV; v++)
        store(sums + v * LANES, _mm512_add_ps(load(sums + v * LANES, mask[v]), total[v]), mask[v]);
}

template <class T>
using Finish = void (*)(const Op&, const float*, const float*, T*, const T*, int64_t, int64_t, float*);

template <class T, int64_t FIRST, bool RESIDUAL, int64_t LAST>
inline Finish<T> by_vectors(int64_t vectors) {
    if (vectors == 1) return finish<T, FIRST, RESIDUAL, LAST, 1>;
    return vectors == 2 ? finish<T, FIRST, RESIDUAL, LAST, 2> : finish<T, FIRST, RESIDUAL, LAST, 3>;
}

template <class T>
inline Finish<T> finisher(const Op& op) {
    Finish<T> found = nullptr;
    with_activation(op.activation, [&](auto first) {
        if (!op.second.n) {
            found = by_vectors<T, first.value, false, NONE>(op.vectors);
            return;
        }
        with_activation(op.last_activation,
                        [&](auto last) { found = by_vectors<T, first.value, true, last.value>(op.vectors); });
    });
    return found;
}

// One piece of work of a convolution: some rows, columns and panels of one image.
template <class T>
struct Convolution {
    const Op& op;
    Scratch& scratch;
    int64_t image, in_group, out_group, columns_wide;
    const T *in, *weights, *residual;
    T* out;
    const float* bias;
    float* sums = nullptr;
    Finish<T> end;
    int64_t panel_elements;
    int64_t tap[MAX_TAPS], row[MAX_TAPS], packed_tap[MAX_TAPS], packed_row[MAX_TAPS];

    Convolution(const Op& op, const Bound& at, Scratch& scratch, int64_t n)
        : op(op), scratch(scratch), image(n), in_group(op.in.c / op.groups), out_group(op.out.c / op.groups),
          columns_wide(op.merged ? 1 : op.kernel[1]) {
        in = at.at<T>(op.in) + n * op.in.image;
        out = at.at<T>(op.out) + n * op.out.image;
        residual = op.second.n ? at.at<T>(op.second) + n * op.second.image : nullptr;
        weights = at.at<T>(op.weights) + n * op.weights_image;
        bias = at.at<float>(op.bias);
        end = finisher<T>(op);
        panel_elements = op.kernel[0] * columns_wide * op.run * op.vectors * LANES;
    }

    int64_t in_row(int64_t y, int64_t ky) const { return y * op.stride[0] - op.padding[0] + ky * op.dilation[0]; }
    int64_t in_column(int64_t x, int64_t kx) const { return x * op.stride[1] - op.padding[1] + kx * op.dilation[1]; }
    bool inside(int64_t x0, int64_t x1) const {
        return in_column(x0, 0) >= 0 && in_column(x1 - 1, op.kernel[1] - 1) < op.in.w;
    }

    // The taps of a block whose every read falls inside the map's columns; rows outside are left out.
    Walk direct(int64_t y, int64_t x) {
        int64_t count = 0;
        for (int64_t ky = 0; ky < op.kernel[0]; ky++) {
            int64_t iy = in_row(y, ky);
            if (iy < 0 || iy >= op.in.h) continue;
            for (int64_t kx = 0; kx < columns_wide; kx++, count++) {
                tap[count] = op.in.line(iy) + in_column(x, kx) * op.in.pixel;
                row[count] = ky * columns_wide + kx;
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
        const bool direct_read = inside(x0, x1);
        T* copy = (T*)scratch.packed;
        const Walk walk = direct_read ? direct(y, x0) : packed(y, x0, x1, copy);
        const T* from = direct_read ? in : copy;
        const auto kernel = Kernels<T>::get(op.vectors, x1 - x0);
        for (int64_t panel = first_panel; panel < last_panel; panel++) {
            const int64_t group = panel / op.panels, within = panel % op.panels * op.vectors * LANES;
            const int64_t channel = group * out_group + within;
            const int64_t channels = std::min(op.vectors * LANES, out_group - within);
            kernel(from + group * in_group, walk, weights + panel * panel_elements, scratch.sums);
            T* target = out + op.out.line(y) + x0 * op.out.pixel + channel;
            const T* add = residual ? residual + op.second.line(y) + x0 * op.second.pixel + channel : nullptr;
            end(op, scratch.sums, bias + panel * op.vectors * LANES, target, add, x1 - x0, channels,
                sums ? sums + channel : nullptr);
        }
    }

    void piece(int64_t y0, int64_t y1, int64_t x0, int64_t x1, int64_t first_panel, int64_t last_panel) {
        // at large distances between pixels few of them fit one set of lines of the first cache
        const int64_t most = op.groups > 1 ? std::min<int64_t>(14, Kernels<T>::most(op.vectors)) : Kernels<T>::most(op.vectors);
        const int64_t blocks = ceil_div(x1 - x0, most);
        const int64_t step = op.panels_outside ? 1 : last_panel - first_panel;
        for (int64_t panel = first_panel; panel < last_panel; panel += step)
            for (int64_t y = y0; y < y1; y++)
                for (int64_t b = 0; b < blocks; b++)
                    block(y, x0 + (x1 - x0) * b / blocks, x0 + (x1 - x0) * (b + 1) / blocks, panel, panel + step);
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
