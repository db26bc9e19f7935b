// The inner kernels by size: as many pixels as registers allow for 1, 2 or 3 vectors of channels.
#pragma once
#include <array>
#include <utility>

#include "gemm.h"

template <class T>
struct Kernels {
    using Kernel = void (*)(const T*, const Walk&, const T*, const End<T>&);
    static constexpr int MOST[] = {0, 24, 14, 9};

    template <int NV, int... P>
    static constexpr std::array<Kernel, sizeof...(P)> row(std::integer_sequence<int, P...>) {
        return {multiply<T, P + 1, NV>...};
    }

    static int64_t most(int64_t vectors) { return MOST[vectors]; }

    static Kernel get(int64_t vectors, int64_t pixels) {
        static constexpr auto one = row<1>(std::make_integer_sequence<int, MOST[1]>());
        static constexpr auto two = row<2>(std::make_integer_sequence<int, MOST[2]>());
        static constexpr auto three = row<3>(std::make_integer_sequence<int, MOST[3]>());
        return vectors == 1 ? one[pixels - 1] : vectors == 2 ? two[pixels - 1] : three[pixels - 1];
    }
};
