/* In place of the theme's script of this name: 1.5 MB that draw the icons which its style sheet has as a font. */
