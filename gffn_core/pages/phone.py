"""A figure for a narrow screen."""

import matplotlib.pyplot as plt

WIDTH = 3.8  # inches of 96 pixels: what a phone has between the page's margins
LEGEND = 0.5  # inches that a legend and the names of axes take


def rearrange(figure: plt.Figure) -> None:
    """Make a figure as wide as a phone, in place: panels below each other, legends of as many columns as fit.

    Pictures without an axis keep their places and shrink; maps, whose axes have equal units, stand in twos.
    Rows of unequal heights and panels over several rows belong to their column, which stays together.
    """
    places = {axis: axis.get_subplotspec() for axis in figure.axes if axis.get_subplotspec()}
    width, height = figure.get_size_inches()
    if any(axis.axison for axis in places):
        height = _stack(figure, places, height - LEGEND) + LEGEND
    else:
        height *= WIDTH / width
    figure.set_size_inches(WIDTH, height)
    for text in (*figure.texts, *(text for axis in places for text in (axis.title, axis.xaxis.label))):
        text.set_wrap(text.get_rotation() == 0)
    for legend in list(figure.legends):
        _fit(figure, legend)


def _stack(figure, places, height):
    """Put the axes into one column, or two; the height in inches that these take."""
    ratios = next(iter(places.values())).get_gridspec().get_height_ratios()
    whole = len(set(ratios)) > 1 or any(len(place.rowspan) > 1 for place in places.values())
    columns = 2 if len(places) > 1 and all(map(_is_square, places)) else 1
    along = lambda place: (place.colspan.start if whole else 0, place.num1)
    order = sorted(places, key=lambda axis: along(places[axis]))
    heights = [height * sum(ratios[row] for row in places[axis].rowspan) / sum(ratios) for axis in order]
    if columns == 2:
        heights = [WIDTH / 2] * -(-len(order) // 2)
    for axis, place in zip(order, figure.add_gridspec(len(heights), columns, height_ratios=heights)):
        axis.set_subplotspec(place)
        # Axes that shared their numbers with a neighbour may have lost it.
        axis.tick_params(labelleft=place.is_first_col(), labelbottom=True)
    return sum(heights)


def _is_square(axis):
    return axis.get_aspect() == 1 and 0.6 < axis.get_data_ratio() < 1.7


def _fit(figure, legend):
    """A legend again, with as many columns as there is room for."""
    legend.remove()
    handles, labels = legend.legend_handles, [text.get_text() for text in legend.get_texts()]
    for columns in range(len(handles), 0, -1):
        again = figure.legend(handles, labels, loc="outside upper center", ncols=columns)
        if columns == 1 or again.get_window_extent().width < WIDTH * figure.dpi:
            break
        again.remove()
