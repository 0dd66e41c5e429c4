"""Colours and letters of the page, as gradio's theme; what a theme cannot say is in resource/web/page.css."""

from __future__ import annotations

import gradio as gr

_PLUM = gr.themes.Color("#f8f5fb", "#efe8f6", "#dfd1ed", "#c6b0dd", "#a785c8", "#8a62b0", "#724a98", "#5d3b7e",
                        "#4b3066", "#3a254f", "#241733", name="plum")
_STONE = gr.themes.Color("#faf9f8", "#f4f2f0", "#e8e5e1", "#d6d2cc", "#a9a39b", "#7b756d", "#59544e", "#413d38",
                         "#2a2724", "#1d1b19", "#131211", name="stone")
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif")  # nobody's server is asked
_MONO = ("ui-monospace", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    return gr.themes.Base(
        primary_hue=_PLUM,
        secondary_hue=_PLUM,
        neutral_hue=_STONE,
        radius_size=gr.themes.sizes.radius_lg,
        font=_FONT,
        font_mono=_MONO,
    ).set(
        body_background_fill="*neutral_100",
        body_background_fill_dark="*neutral_950",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_shadow="none",
        block_label_text_weight="600",
        block_title_text_weight="600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
        button_primary_text_color="white",
        button_large_text_weight="600",
        slider_color="*primary_600",
        slider_color_dark="*primary_400",
    )
