// What the planner hands over: one record per step. descriptors.py declares the same fields in the same order.
#pragma once
#include <cstdint>

struct Address {
    int64_t slot, offset;  // bytes from the start of a slot: the plan's arena, weights, an input or an output
};

// A feature map; strides in elements, 16 channels next to each other and the next 16 a `block` further. Of a map that
// one thread makes and reads only the last `ring` rows are kept; 0 for whole maps. Beside each row stand `margin` pixels
// of zeros. Only convolutions know blocks other than 16, and margins.
struct Map {
    Address at;
    int64_t n, h, w, c;
    int64_t pixel, row, image, ring, block, margin;

    int64_t line(int64_t y) const { return (ring ? y % ring : y) * row; }
};

enum Kind : int64_t {
    CONV, WINOGRAD, DEPTHWISE, BINARY, AFFINE, POOL, SUMS, MEAN, SCALE_WEIGHTS, RESIZE, NEAREST, PLANAR_RESIZE, GUIDED,
    STRIPS, KINDS
};

enum Activation : int64_t { NONE, RELU, RELU6, HSIGMOID, HSWISH, SIGMOID, SILU, TANH, ELU, PRELU };

enum Binary : int64_t { ADD, SUB, MUL, DIV };

struct Op {
    int64_t kind;
    Map in, second, out;  // the second operand is a residual, a factor, or offsets; n is 0 where there is none
    int64_t kernel[2], stride[2], padding[2], dilation[2];
    int64_t groups;
    int64_t activation, last_activation;  // before the second operand is added, and after
    int64_t vectors, panels;              // of a panel of packed weights, and how many panels per group
    int64_t run;                          // contiguous elements per tap
    int64_t merged;                       // whether a row of the kernel is one tap
    int64_t rows, columns, panel_span;    // of a piece of work
    int64_t panels_outside;               // the order of loops: weights stay in cache, or pixels do
    int64_t weights_image;                // elements from one sample's weights to the next, 0 where shared
    int64_t option;                       // by kind: binary operator, pool is a maximum, corners aligned, labels, tile
    int64_t pieces, sums_channels;        // of partial sums: how many per image, and elements in each
    float unit[2];                        // input pixels per unit of an offset
    double step[2];                       // input pixels per output pixel
    Address weights, bias, sums;          // in slot 0 where there are none
    Address slopes;                       // of PRELU, by channel of the output and 16 more
};
