// 3x3 convolutions of stride 1 in tiles of 2x2 results: 16 products per channel pair instead of 36 (Lavin & Gray 2016,
// F(2x2, 3x3)). A dilated one is that convolution on each of its interleaved grids.
#pragma once
#include "conv.h"

constexpr int64_t APART = 32;  // elements

struct Tile {
    int64_t image, y, x;  // of its first result
};

// Every grid gets as many tiles as the largest; what falls outside the map is not written.
struct Tiling {
    int64_t down, across, grids_y, grids_x;
    explicit Tiling(const Op& op)
        : down(ceil_div(ceil_div(op.out.h, op.dilation[0]), 2)), across(ceil_div(ceil_div(op.out.w, op.dilation[1]), 2)),
          grids_y(op.dilation[0]), grids_x(op.dilation[1]) {}
    int64_t count(const Op& op) const { return op.out.n * down * across * grids_y * grids_x; }
    Tile tile(int64_t i) const {
        int64_t x = i % across, y = i / across % down, grid = i / across / down;
        int64_t gx = grid % grids_x, gy = grid / grids_x % grids_y;
        return {grid / grids_x / grids_y, gy + y * 2 * grids_y, gx + x * 2 * grids_x};
    }
};

inline void transform_inputs(Vec d[4][4]) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        Vec a = d[0][i], b = d[1][i], c = d[2][i], e = d[3][i];
        d[0][i] = _mm512_sub_ps(a, c);
        d[1][i] = _mm512_add_ps(b, c);
        d[2][i] = _mm512_sub_ps(c, b);
        d[3][i] = _mm512_sub_ps(b, e);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        Vec a = d[i][0], b = d[i][1], c = d[i][2], e = d[i][3];
        d[i][0] = _mm512_sub_ps(a, c);
        d[i][1] = _mm512_add_ps(b, c);
        d[i][2] = _mm512_sub_ps(c, b);
        d[i][3] = _mm512_sub_ps(b, e);
    }
}

template <class T>
struct Winograd {
    const Op& op;
    const T *in, *weights, *residual;
    T *out, *transformed;
    const float* bias;
    float* products;
    int64_t tiles, lines_wide, panel_wide, position_wide, product_wide;

    Winograd(const Op& op, const Bound& at, Scratch& scratch, int64_t tiles)
        : op(op), in(at.at<T>(op.in)), weights(at.at<T>(op.weights)),
          residual(op.second.n ? at.at<T>(op.second) : nullptr), out(at.at<T>(op.out)), transformed((T*)scratch.packed),
          bias(at.at<float>(op.bias)), tiles(tiles), panel_wide(op.vectors * LANES) {
        lines_wide = op.run * panel_wide;
        // apart by more than whole pages, or the positions would compete for the same lines of the cache
        position_wide = tiles * op.run + APART;
        product_wide = tiles * panel_wide + APART;
        products = (float*)(scratch.packed + (16 * position_wide * sizeof(T) + 63) / 64 * 64);
    }

    // Which of four positions, a step apart, fall inside an axis.
    static uint32_t inside(int64_t first, int64_t step, int64_t size) {
        uint32_t found = 0;
        for (int i = 0; i < 4; i++) found |= uint32_t(first + i * step >= 0 && first + i * step < size) << i;
        return found;
    }

    void read(const Tile& tile, int64_t t) {
        const int64_t y = tile.y - op.padding[0], x = tile.x - op.padding[1];
        const T* origin = in + tile.image * op.in.image + y * op.in.row + x * op.in.pixel;
        const uint32_t rows = inside(y, op.dilation[0], op.in.h), columns = inside(x, op.dilation[1], op.in.w);
        if (rows == 15 && columns == 15) read_tile<true>(origin, t, rows, columns);
        else read_tile<false>(origin, t, rows, columns);
    }

    template <bool WHOLE>
    void read_tile(const T* origin, int64_t t, uint32_t rows, uint32_t columns) {
        const int64_t row = op.dilation[0] * op.in.row, column = op.dilation[1] * op.in.pixel;
        for (int64_t c = 0; c < op.run; c += LANES) {
            const __mmask16 mask = first_lanes(op.run - c);
            Vec d[4][4];
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) {
                    const bool here = WHOLE || (rows >> i & columns >> j & 1);
                    d[i][j] = here ? load(origin + i * row + j * column + c, mask) : _mm512_setzero_ps();
                }
            transform_inputs(d);
            T* target = transformed + t * op.run + c;
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
                for (int j = 0; j < 4; j++) store(target + (i * 4 + j) * position_wide, d[i][j], mask);
        }
    }

    void multiply_panel(int64_t panel) {
        static constexpr float none[3 * LANES] = {};
        const int64_t zero = 0, most = Kernels<T>::most(op.vectors), blocks = ceil_div(tiles, most);
        for (int64_t position = 0; position < 16; position++) {
            const T* w = weights + (panel * 16 + position) * lines_wide;
            const Walk walk{1, &zero, &zero, op.run, op.run};
            for (int64_t b = 0; b < blocks; b++) {
                const int64_t first = tiles * b / blocks, last = tiles * (b + 1) / blocks;
                End<T> end{products + position * product_wide + first * panel_wide, none};
                Kernels<T>::get(op.vectors, last - first)(transformed + position * position_wide + first * op.run, walk,
                                                          w, end);
            }
        }
    }

    template <int64_t FIRST, bool RESIDUAL, int64_t LAST>
    void write(const Tile& tile, int64_t t, int64_t panel) {
        for (int64_t v = 0; v < op.vectors; v++) {
            const int64_t c = panel * panel_wide + v * LANES;
            if (c >= op.out.c) return;
            const __mmask16 mask = first_lanes(op.out.c - c);
            Vec half[2][4];
#pragma GCC unroll 4
            for (int j = 0; j < 4; j++) {
                auto m = [&](int i) { return load(products + (i * 4 + j) * product_wide + t * panel_wide + v * LANES); };
                Vec b = m(1), d = m(2);
                half[0][j] = _mm512_add_ps(_mm512_add_ps(m(0), b), d);
                half[1][j] = _mm512_sub_ps(_mm512_sub_ps(b, d), m(3));
            }
            const Vec shift = load(bias + c);
            for (int i = 0; i < 2; i++) {
                const int64_t y = tile.y + i * op.dilation[0];
                if (y >= op.out.h) break;
                const Vec* h = half[i];
                const Vec pair[2] = {_mm512_add_ps(_mm512_add_ps(h[0], h[1]), h[2]),
                                     _mm512_sub_ps(_mm512_sub_ps(h[1], h[2]), h[3])};
                for (int j = 0; j < 2; j++) {
                    const int64_t x = tile.x + j * op.dilation[1];
                    if (x >= op.out.w) break;
                    Vec r = apply<FIRST>(_mm512_add_ps(pair[j], shift), op.activation);
                    if constexpr (RESIDUAL) {
                        const Map& m = op.second;
                        r = _mm512_add_ps(r, load(residual + tile.image * m.image + y * m.row + x * m.pixel + c, mask));
                        r = apply<LAST>(r, op.last_activation);
                    }
                    store(out + tile.image * op.out.image + y * op.out.row + x * op.out.pixel + c, r, mask);
                }
            }
        }
    }

    template <int64_t FIRST, bool RESIDUAL, int64_t LAST>
    void run(const Tiling& tiling, int64_t first, int64_t first_panel, int64_t last_panel) {
        for (int64_t t = 0; t < tiles; t++) read(tiling.tile(first + t), t);
        for (int64_t panel = first_panel; panel < last_panel; panel++) {
            multiply_panel(panel);
            for (int64_t t = 0; t < tiles; t++) write<FIRST, RESIDUAL, LAST>(tiling.tile(first + t), t, panel);
        }
    }
};

inline int64_t winograd_pieces(const Op& op) {
    return ceil_div(Tiling(op).count(op), op.columns) * ceil_div(op.panels, op.panel_span);
}

template <class T>
void winograd_piece(const Op& op, const Bound& at, Scratch& scratch, int64_t piece) {
    const Tiling tiling(op);
    const int64_t blocks = ceil_div(tiling.count(op), op.columns), first = piece % blocks * op.columns;
    const int64_t panel = piece / blocks * op.panel_span, last = std::min(panel + op.panel_span, op.panels);
    Winograd<T> work(op, at, scratch, std::min(op.columns, tiling.count(op) - first));
    with_activation(op.activation, [&](auto before) {
        if (!op.second.n) return work.template run<before.value, false, NONE>(tiling, first, panel, last);
        with_activation(op.last_activation, [&](auto after) {
            work.template run<before.value, true, after.value>(tiling, first, panel, last);
        });
    });
}
