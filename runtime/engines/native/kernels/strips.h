// Several steps over one strip of the map, a few rows of each in turn, so that what one makes is still in cache when the
// next reads it. Between strips some rows are computed twice.
#pragma once
#include "resize.h"

// Rows of one step at one turn; none where both are equal.
struct Span {
    int32_t first, last;
};

template <class T>
Rows<T> rows_of(int64_t kind) {
    switch (kind) {
        case DEPTHWISE: return depthwise_rows<T>;
        case BINARY: return binary_rows<T>;
        case AFFINE: return affine_rows<T>;
        case POOL: return pool_rows<T>;
        case RESIZE: return resize_rows<T>;
        case NEAREST: return nearest_rows<T>;
        default: return nullptr;
    }
}

inline int64_t strips_pieces(const Op& op) { return op.out.n * op.pieces; }

// The members, `panels` of them, follow the record; `weights` has the spans by strip, turn (`rows` of them) and member.
template <class T>
void strips_piece(const Op& op, const Bound& at, Scratch& scratch, int64_t piece) {
    const int64_t n = piece / op.pieces, strip = piece % op.pieces, members = op.panels;
    const Op* member = &op + 1;
    auto sums = [&](const Op& each) {
        return each.sums.slot ? at.at<float>(each.sums) + (n * each.pieces + strip) * each.sums_channels : nullptr;
    };
    for (int64_t i = 0; i < members; i++)
        if (float* found = sums(member[i])) memset(found, 0, member[i].out.c * sizeof(float));
    const Span* span = at.at<Span>(op.weights) + strip * op.rows * members;
    for (int64_t turn = 0; turn < op.rows; turn++)
        for (int64_t i = 0; i < members; i++, span++) {
            if (span->first >= span->last) continue;
            const Op& each = member[i];
            if (each.kind == CONV) conv_rows<T>(each, at, scratch, n, span->first, span->last, sums(each));
            else rows_of<T>(each.kind)(each, at, scratch, n, span->first, span->last);
        }
}
